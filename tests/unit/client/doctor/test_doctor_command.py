"""`pasarela doctor` at a server that is not as it should be, and wrongly called."""

import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from pasarela_client.__main__ import main
from pasarela_proto import detection_pb2 as pb


def doctor(server: Any, *arguments: str) -> int:
    return main(["doctor", "--url", server.url, "--seconds", "0.05", *arguments])


def test_a_server_without_statistics_still_answers(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(server, "skirts") == 0
    text = capsys.readouterr().out
    assert "the server keeps no statistics" in text
    assert "max_batch_size 0" in text


@pytest.mark.parametrize(
    ("model", "says"),
    [
        pytest.param("broken", "config.pbtxt:3:7: no such field", id="broken: why is known"),
        pytest.param("waiting", "pasarela load", id="not loaded: how to load it"),
    ],
)
def test_a_model_that_is_not_ready_is_said_with_its_reason(
    server: Any, capsys: pytest.CaptureFixture[str], model: str, says: str
) -> None:
    assert doctor(server, model) == 0
    text = capsys.readouterr().out
    assert "PROBLEM" in text
    assert says in text


def test_a_server_that_dies_meanwhile_is_one_line(
    server: Any, service: Any, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"jpeg")
    dying = threading.Event()

    def detect(request: pb.DetectRequest, context: Any) -> pb.DetectResponse:
        server.die()
        dying.set()
        return pb.DetectResponse()

    service.detect = detect
    assert main(["doctor", "skirts", "--url", server.url, "--probe", "1", "--image", str(photo)]) == 3
    assert dying.is_set()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert server.url in captured.err


def test_ctrl_c_ends_at_once(server: Any, service: Any, tmp_path: Any) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"jpeg")
    begun, over = threading.Event(), threading.Event()

    def detect(request: pb.DetectRequest, context: Any) -> pb.DetectResponse:
        begun.set()
        over.wait(60)
        return pb.DetectResponse()

    service.detect = detect
    command = [sys.executable, "-m", "pasarela_client", "doctor", "skirts", "--url", server.url]
    probing = ["--probe", "2", "--image", str(photo), "--seconds", "600"]
    with subprocess.Popen([*command, *probing], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert begun.wait(60)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    over.set()
    assert (process.returncode, out, errors) == (130, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seconds", "0"], "above 0"),  # reason: nothing can be seen in no time
        (["--seconds", "nan"], "above 0"),  # reason: no number at all
        (["--probe", "-1"], "number of clients"),  # reason: fewer than none
        (["--probe", "1001"], "from 0 to 1000"),  # reason: each is a thread
        (["--image", "a.jpg"], "add --probe N"),  # reason: nobody would send it
        (["--probe", "1", "--shape", "3,320,320"], "--shape looks like"),  # reason: of which input?
    ],
)
def test_wrong_flags(server: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert doctor(server, "skirts", *arguments) == 2
    assert says in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["doctor", "--help"])
    assert raised.value.code == 0
    text = capsys.readouterr().out
    assert "pasarela doctor garments --probe 8 --image a.jpg" in text
    assert "exit codes" in text
