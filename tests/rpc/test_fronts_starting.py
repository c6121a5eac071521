"""Fronts that cannot be set up, in real processes: the server ends with a reason, or when it is told to; nobody stays."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.server_log import wait_for_log
from tests.tiny_models import write_onnx


@pytest.fixture(scope="module")
def tiny_repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    write_onnx(root / "add" / "1", 1)
    return root


def failing(way, limit_s):
    """What stands before the command of a server whose fronts fail in this way."""
    return (sys.executable, "-m", "tests.failing_fronts", way, str(limit_s))


def command(repository, way, limit_s, *flags):
    own = [
        "--model-repository",
        str(repository),
        "--grpc-address",
        "127.0.0.1",
        "--grpc-port",
        "0",
        "--metrics-port",
        "0",
    ]
    return [*failing(way, limit_s), "-m", "pasarela_server", *own, "--frontends", "2", *flags]


def fronts_of(log):
    return [int(pid) for pid in re.findall(r"^a front, (\d+)$", log, re.MULTILINE)]


def left_of(log):
    """Processes of fronts that are there, be it that nobody has taken their exit codes."""
    return [pid for pid in fronts_of(log) if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(
    ("way", "limit_s", "reason"),
    [
        # reason: the limit is what ends it
        pytest.param("hangs", 0.5, r"front \d \(process \d+\) did not listen within 0.5 s and was ended", id="hangs"),
        # reason: a link that is there, and silent in the middle of a word
        pytest.param("says_half_a_message", 0.5, r"did not listen within 0.5 s", id="says half a message"),
        # reason: nothing to wait for
        pytest.param("cannot_be_imported", 60, r"ended with code 1 before it listened", id="cannot be imported"),
        # reason: libuv's loop takes such an end for one that is set up, and never reads from it
        pytest.param(
            "is_deaf", 60, r"ended with code 1 before it listened; see the log", id="its end of the link fails"
        ),
        pytest.param(
            "finds_its_back_deaf", 60, r"cannot be started \(BrokenLink: this end of the link", id="the back's"
        ),
    ],
)
def test_one_that_is_not_set_up_ends_the_start_with_a_reason_and_leaves_no_process(
    tiny_repository, way, limit_s, reason
):
    ended = subprocess.run(
        command(tiny_repository, way, limit_s), capture_output=True, text=True, check=False, timeout=90
    )
    assert ended.returncode == 1, ended.stderr
    (told,) = [line for line in ended.stderr.splitlines() if line.startswith("pasarela-server: error: ")]
    assert re.search(reason, told)
    assert left_of(ended.stderr) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_while_fronts_hang_ends_all_of_them(tiny_repository, tmp_path, number):
    """Long before they are overdue, and before a drain would be: there is nothing to finish."""
    log = tmp_path / "stderr.log"
    patient = command(tiny_repository, "hangs", 3600, "--exit-timeout-secs", "3600")
    with log.open("w") as stderr, subprocess.Popen(patient, stdout=subprocess.DEVNULL, stderr=stderr) as process:
        try:
            wait_for_log(SimpleNamespace(process=process, log=log), r"^a front, \d+$", count=2)
            process.send_signal(number)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert len(fronts_of(log.read_text())) == 2
    assert left_of(log.read_text()) == []
    assert "Traceback" not in log.read_text()


def test_one_that_listens_has_no_limit_any_more(tiny_repository, start_server):
    with start_server(tiny_repository, "--frontends", "1", under=failing("tells_its_limit", 60)) as running:
        assert wait_for_log(running, r"left of its limit: (\S+) s")[1] == "0"
        assert running.stop() == 0
