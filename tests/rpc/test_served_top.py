"""`pasarela top` against a real server: piped, and on a real pseudo-terminal, as its user sees it."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest

from pasarela_client.__main__ import main
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc
from tests.terminal import terminal
from tests.tiny_models import write_onnx

PROGRAM = [sys.executable, "-m", "pasarela_client", "top"]
ALTERNATE_SCREEN, SCREEN_AS_IT_WAS, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
RED = re.compile(rb"\x1b\[[0-9;]*31m")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A repository: `adder`, which works, and `broken`, which does not."""
    folder = tmp_path_factory.mktemp("top") / "models"
    write_onnx(folder / "adder" / "1", 1)
    (folder / "adder" / "config.pbtxt").write_text("max_batch_size: 4\n")
    write_onnx(folder / "broken" / "1", 1)
    (folder / "broken" / "config.pbtxt").write_text("max_batch_sise: 4\n")
    return folder


@pytest.fixture(scope="module")
def running(models, start_server):
    with start_server(models) as running:
        yield running


@pytest.fixture
def flags(running):
    """Where to look."""
    return ["--url", running.address, "--metrics-url", running.metrics_address]


@contextlib.contextmanager
def traffic(address):
    """A client that sends requests of two rows, one after the other, and does without a server for a while."""
    message = pb.ModelInferRequest(model_name="adder", raw_input_contents=[np.zeros((2, 2), "f4").tobytes()])
    message.inputs.add(name="x", datatype="FP32", shape=[2, 2])
    over = threading.Event()

    def send():
        with grpc.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 200)]) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            while not over.wait(0.002):
                with contextlib.suppress(grpc.RpcError):
                    stub.ModelInfer(message, timeout=30)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def rows(text):
    """The cells of each row of a block, by model."""
    return {line.split()[0]: line.split() for line in text.splitlines() if " READY " in line or "UNAVAILABLE " in line}


def test_one_look_as_json_while_a_client_sends(running, flags, capsys):
    with traffic(running.address):
        assert main(["top", "--once", "--json", "--interval", "1", "--sort", "requests", *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    adder, broken = told["models"]
    assert told["seconds"] >= 1
    assert told["notes"] == []
    assert adder["requests_per_s"] > 0
    assert adder["rows_per_s"] == pytest.approx(2 * adder["requests_per_s"], rel=1e-3)
    assert (adder["mean_batch_rows"], adder["failures_per_s"], adder["queued"]) == (2, 0, 0)
    assert adder["instances"] >= 1
    assert 0 < adder["instance_use"] <= 1
    assert 0 < adder["p50_ms"] <= adder["p90_ms"] <= adder["p99_ms"]
    assert {"receive", "queue", "infer", "encode", "between"} <= adder["stages_ms"].keys()
    assert (broken["model"], broken["state"], broken["requests_per_s"]) == ("broken", "UNAVAILABLE", None)
    assert "max_batch_sise" in broken["reason"]


def test_blocks_where_it_is_piped(running, flags):
    with traffic(running.address):
        command = [*PROGRAM, "--count", "2", "--interval", "0.5", *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    blocks = done.stdout.split("\n\npasarela top")
    assert len(blocks) == 2
    assert "\x1b" not in done.stdout
    for block in blocks:
        assert float(rows(block)["adder"][3].replace(",", "")) > 0
        assert "OUTPUT MS" in block, "what is piped shows all columns"
        assert "broken is UNAVAILABLE" in block


@pytest.mark.parametrize(
    ("metrics_url", "note"),
    [
        ("http://127.0.0.1:9/metrics", "no percentiles, no queue: http://127.0.0.1:9/metrics does not answer"),
        ("{metrics}/nothing", "does not answer (HTTP 404"),
        ("{grpc}", "no percentiles, no queue: http://{grpc}/metrics does not speak HTTP"),
        ("none", "no percentiles, no queue: --metrics-url says where the server's metrics are"),
    ],
    ids=["nobody", "another page", "another protocol", "none wanted"],
)
def test_without_metrics_the_rest_is_there(running, capsys, metrics_url, note):
    places = {"metrics": running.metrics_address, "grpc": running.address}
    wrong = metrics_url.format(**places)
    with traffic(running.address):
        code = main(["top", "adder", "--once", "--interval", "0.3", "--url", running.address, "--metrics-url", wrong])
    printed = capsys.readouterr().out
    assert code == 0
    assert note.format(**places) in printed
    assert rows(printed)["adder"][7] == "-", "the queue"
    assert rows(printed)["adder"][9:12] == ["-", "-", "-"]
    assert float(rows(printed)["adder"][3].replace(",", "")) > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--interval", "0"], "--interval is a time above 0"),
        (["--interval", "inf"], "--interval is a time above 0"),
        (["--count", "0"], "--count is at least 1"),
        (["--sort", "colour"], "--sort takes one of name, requests"),
        (["--metrics-url", "file:///etc/passwd"], "metrics are at an address like"),
        (["--url", "nowhere"], "looks like"),
    ],
)
def test_wrong_words(capsys, words, message):
    assert main(["top", *words]) == 2
    assert message in capsys.readouterr().err


def test_it_is_live_on_a_terminal_and_keys_change_what_it_shows(running, flags):
    with traffic(running.address), terminal([*PROGRAM, "--interval", "0.2", *flags]) as screen:
        before = screen.settings()
        screen.until("MODEL", "P99 MS", "requests/s", "broken is UNAVAILABLE", "q quit")
        assert ALTERNATE_SCREEN in screen.written
        assert RED.search(screen.written), "what is broken is red"
        screen.type("d")
        screen.until("ms: receive")
        screen.type("s")
        screen.until("REQ/S↓")
        screen.type("b")
        screen.until("1 of 2 shown, 1 ready")
        screen.resize(12, 60)
        lines = screen.until("REQ/S↓", "q quit")
        assert not any("P90 MS" in line or "OUTPUT MS" in line for line in lines)
        assert lines[11].startswith("q quit"), "the last line is that of the smaller terminal"
        screen.resize(40, 200)
        assert screen.until("OUTPUT MS")[39].startswith("q quit")
        screen.type("q")
        assert screen.end() == 0
        assert screen.settings() == before


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda screen: screen.type("\x03"), 130),
        (lambda screen: screen.process.send_signal(signal.SIGTERM), 143),
    ],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_whatever_ends_it_the_terminal_is_as_it_was(flags, end, code):
    with terminal([*PROGRAM, "--interval", "0.2", *flags]) as screen:
        before = screen.settings()
        screen.until("MODEL")
        assert screen.settings() != before, "no echo, each key at once"
        end(screen)
        assert screen.end() == code
        assert screen.settings() == before
    assert screen.written.rindex(SCREEN_AS_IT_WAS) > screen.written.rindex(ALTERNATE_SCREEN)
    assert CURSOR in screen.written
    assert b"Traceback" not in screen.written


def test_no_colour_where_none_is_wanted(flags):
    with terminal([*PROGRAM, "--interval", "0.2", *flags], environment={"NO_COLOR": "1"}) as screen:
        screen.until("UNAVAILABLE")
        screen.type("q")
        assert screen.end() == 0
    assert not RED.search(screen.written)


def test_a_terminal_that_cannot_be_drawn_on_gets_blocks(flags):
    command = [*PROGRAM, "--interval", "0.2", *flags]
    with terminal(command, environment={"TERM": "dumb"}) as screen:
        screen.until("MODEL", "adder")
        screen.type("\x03")
        assert screen.end() == 130
    assert b"\x1b" not in screen.written


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_a_server_that_restarts_is_waited_for(models, start_server):
    ports = ["--grpc-port", free_port(), "--metrics-port", free_port()]
    with start_server(models, *ports) as running, contextlib.ExitStack() as stack:
        flags = ["--url", running.address, "--metrics-url", running.metrics_address]
        stack.enter_context(traffic(running.address))
        screen = stack.enter_context(terminal([*PROGRAM, "--interval", "0.2", *flags]))
        screen.until("requests/s, 0 failures/s over")
        running.stop(signal.SIGKILL)
        screen.until("no answer for", "trying again", "adder")
        with start_server(models, *ports):
            screen.until("the server is back: nobody answered for")
            screen.until("requests/s", "broken is UNAVAILABLE")
            screen.type("q")
            assert screen.end() == 0


def test_lines_of_json_say_so_too_and_the_exit_code_tells_that_nobody_was_there_at_the_end(models, start_server):
    with start_server(models) as running:
        command = [*PROGRAM, "--json", "--interval", "0.2", "--count", "10", "--url", running.address]
        with subprocess.Popen([*command, "--timeout", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as top:
            assert "models" in json.loads(top.stdout.readline())
            running.stop(signal.SIGKILL)
            printed, errors = top.communicate()
    lines = [json.loads(line) for line in printed.splitlines()]
    assert lines[-1]["lost"].startswith(f"nothing answers at {running.address}")
    assert lines[-1]["away_s"] > 0
    assert (top.returncode, running.address in errors.decode()) == (3, True)


def test_watched_statistics_outlive_the_server_too(models, start_server):
    ports = ["--grpc-port", free_port()]
    with start_server(models, *ports) as running:
        command = [sys.executable, "-m", "pasarela_client", "stats", "adder", "--watch", "0.2", "--json"]
        command += ["--url", running.address, "--retries", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as stats:
            assert "requests_per_s" in [stats.stdout.readline(), stats.stdout.readline()][1]
            running.stop(signal.SIGKILL)
            said = stats.stderr.readline()
            with start_server(models, *ports), traffic(running.address):
                while not json.loads(stats.stdout.readline())["answered"]:
                    pass
            stats.send_signal(signal.SIGINT)
            _, errors = stats.communicate()
    assert said.startswith(f"pasarela: nothing answers at {running.address}")
    assert said.endswith("; trying again\n")
    assert errors.count("trying again") <= 1, "once each time that it goes away"
    assert stats.returncode == 130


def test_a_reader_that_goes_away_is_no_traceback(flags):
    with subprocess.Popen(
        [*PROGRAM, "--interval", "0.05", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as top:
        assert top.stdout.readline().startswith(b"pasarela top")
        top.stdout.close()
        assert top.stderr.read() == b""
    assert top.returncode == 141
