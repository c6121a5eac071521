"""The sampler, on processes and metrics that are really there, and that really go."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from loadtest.report.samples import read_samples
from loadtest.report.sampling import Look, sampled

METRICS = 'nv_inference_count{model="m",version="1"} 12\nnv_inference_pending_request_count{model="m",version="1"} 3\n'


@contextmanager
def metrics(text: str = METRICS, length: int | None = None) -> Iterator[str]:
    """An address that answers with this text, and may say that it is longer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def process(code: str = "input()") -> Iterator["subprocess.Popen[bytes]"]:
    """A process that ends when its input does."""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


def test_process_and_metrics_are_seen_together_and_the_file_is_whole_when_the_block_is_left(tmp_path: Path) -> None:
    path, ticks = tmp_path / "server.jsonl", iter(range(1000))
    with (
        metrics() as url,
        process() as running,
        sampled(running.pid, url, path, period_s=0.01, clock=lambda: 100.0 + next(ticks)),
    ):
        while path.stat().st_size < 500:
            pass
    seen = read_samples(path)
    assert len(seen) >= 2
    assert [sample.time_s for sample in seen] == [100.0 + number for number in range(len(seen))]
    first = seen[0]
    assert first.process is not None
    assert first.process.resident_bytes > 1e6
    assert first.models is not None
    assert (first.models["m/1"].rows, first.models["m/1"].pending) == (12, 3)


def test_children_count_and_what_they_used_stays_used() -> None:
    family = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'sum(range(3_000_000)); input()'], stdin=subprocess.PIPE)\n"
        "print(flush=True); input(); child.communicate(b'\\n'); print(flush=True); input()"
    )
    with process(family) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdout.readline()
        look = Look(running.pid, None)
        both = look(0.0).process
        assert both is not None
        assert both.processes == 2
        child = psutil.Process(running.pid).children()[0]
        while child.cpu_times().user < 0.02:
            pass
        busy = look(1.0).process
        running.stdin.write(b"\n")
        running.stdin.flush()
        running.stdout.readline()
        alone = look(2.0).process
        assert busy is not None
        assert alone is not None
        assert alone.processes == 1
        assert alone.cpu_s >= busy.cpu_s


def test_a_process_that_has_ended_ends_the_looking_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    with process("pass") as running:
        running.wait()
        with sampled(running.pid, None, path, period_s=0.001):
            while not path.stat().st_size:
                pass
    (last,) = read_samples(path)
    assert f"the server's process {running.pid} has ended; it was not looked at after that" in last.note


def test_metrics_that_stay_away_are_told_and_asked_for_again() -> None:
    """A server that has too much to do, or an address that is wrong, is no server that went away."""
    look = Look(None, "http://127.0.0.1:9/metrics")
    for second in range(5):
        sample = look(float(second))
        assert "could not be read" in sample.note
        assert (sample.process, sample.models) == (None, None)


def test_an_answer_that_breaks_off_is_told() -> None:
    with metrics(length=1000) as url:
        assert "could not be read" in Look(None, url)(0.0).note


def test_with_nothing_to_look_at_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    with sampled(None, None, path, period_s=0.001):
        pass
    assert read_samples(path) == []


def test_a_process_is_still_seen_when_its_metrics_are_not() -> None:
    look = Look(os.getpid(), "http://127.0.0.1:9/metrics")
    for second in range(5):
        sample = look(float(second))
        assert sample.process is not None
        assert "could not be read" in sample.note


def test_a_server_elsewhere_tells_of_its_processes_itself(server) -> None:
    url = f"http://{server.metrics_address}/metrics"
    afar, near = Look(None, url)(0.0).process, Look(server.process.pid, url)(0.0).process
    assert afar is not None
    assert near is not None
    assert afar.processes == near.processes
    # From near, pages that several processes have are shared out among them; a server counts its own whole.
    whole = psutil.Process(server.process.pid).memory_info().rss
    assert near.resident_bytes <= whole * 1.5
    assert whole / 2 < afar.resident_bytes < whole * 2
    assert near.cpu_s / 2 < afar.cpu_s < near.cpu_s * 2


def test_a_page_that_holds_no_metrics_is_told() -> None:
    with metrics('nv_inference_count{gpu="1"} 12\n') as url:
        assert "no label `model`" in Look(None, url)(0.0).note


def test_an_error_in_the_block_comes_through_and_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    with pytest.raises(KeyError), sampled(os.getpid(), None, path, period_s=0.01):
        raise KeyError
    assert len(read_samples(path)) >= 1
