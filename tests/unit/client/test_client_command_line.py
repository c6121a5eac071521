"""`pasarela` as a person or a script uses it: what is printed where, and the exit code."""

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from pasarela_client import Detections
from pasarela_client.__main__ import main
from pasarela_client.commands import models
from pasarela_client.exports import read_json_lines
from pasarela_proto import detection_pb2 as pb

Run = Callable[..., int]
PROGRAM = [sys.executable, "-m", "pasarela_client"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.jpg", "C.JPG"):
        Image.new("RGB", (640, 480), (90, 120, 150)).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def detect(server: Any) -> Run:
    return lambda *arguments: main(["detect", "--url", server.url, *map(str, arguments)])


def test_a_table_for_people(detect: Run, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(photos / "a.jpg") == 0
    title, header, row = capsys.readouterr().out.splitlines()
    assert title == f"{photos / 'a.jpg'}  640x480  1 found  3 ms on the server"
    assert header.split() == ["name", "score", "left", "top", "right", "bottom"]
    assert row.split() == ["skirt", "0.90", "10", "20", "110", "220"]
    assert header.index("score") + len("score") == row.index("0.90") + len("0.90")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["{0}/a.jpg", "{0}/b.png"], ["a.jpg", "b.png"]),
        (["{0}/b.png", "{0}/a.jpg"], ["b.png", "a.jpg"]),
        (["{0}"], ["C.JPG", "a.jpg", "b.png"]),
        (["{0}/*.??g"], ["a.jpg", "b.png"]),
        (["{0}/../**/*.png"], ["b.png"]),
    ],
    ids=["files", "in the order given", "folder", "glob", "deep glob"],
)
def test_files_folders_and_globs(
    detect: Run, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], names: list[str]
) -> None:
    assert detect("--json", *(argument.format(photos) for argument in arguments)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["origin"]).name for line in lines] == names


def test_json_lines_hold_everything_and_can_be_read_again(
    detect: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("--json", photos / "a.jpg") == 0
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert line == {
        "origin": str(photos / "a.jpg"),
        "frame_index": 0,
        "model": "garments",
        "version": "3",
        "width": 640,
        "height": 480,
        "detections": [{"name": "skirt", "class_id": 8, "score": 0.9, "box": [10, 20, 110, 220]}],
        "server_ms": 3.0,
    }
    assert captured.err == ""
    (tmp_path / "found.jsonl").write_text(captured.out)
    (found,) = read_json_lines(tmp_path / "found.jsonl")
    assert isinstance(found, Detections)
    assert found.names.tolist() == ["skirt"]


def test_options_reach_the_server(detect: Run, photos: Path, service: Any) -> None:
    assert detect(photos / "a.jpg", "--conf", 0.5, "--iou", 0.25, "--classes", "long sleeve,3", "--max", 7) == 0
    options = service.requests[0].options
    assert (options.confidence, options.iou, options.max_detections) == (0.5, 0.25, 7)
    assert (list(options.class_names), list(options.class_ids)) == (["long sleeve"], [3])


def test_saved_pictures_have_the_boxes_and_the_names_of_the_files(
    detect: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes((photos / "a.jpg").read_bytes())
    assert detect(photos / "a.jpg", other / "a.jpg", photos / "b.png", "--save", tmp_path / "new" / "found") == 0
    saved = sorted((tmp_path / "new" / "found").iterdir())
    assert [path.name for path in saved] == ["a-2.jpg", "a.jpg", "b.png"]
    assert Image.open(saved[2]).getpixel((10, 120)) != (90, 120, 150)
    assert f"saved as {saved[0]}" in capsys.readouterr().out


def test_saving_never_overwrites_the_images(detect: Run, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (photos / "a.jpg").read_bytes()
    assert detect(photos / "a.jpg", "--save", photos) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert (photos / "a.jpg").read_bytes() == before


def test_the_good_ones_are_done_and_the_bad_ones_are_listed(
    detect: Run, photos: Path, service: Any, make_answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(request: pb.DetectRequest, context: Any) -> pb.DetectResponse:
        if request.image.encoded.startswith(b"not an image"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is no image")
        return make_answer()

    service.detect = judge
    missing, nothing = photos / "missing.jpg", photos / "*.webp"
    assert detect("--json", photos / "a.jpg", missing, photos / "notes.txt", nothing, photos / "b.png") == 1
    captured = capsys.readouterr()
    assert [Path(json.loads(line)["origin"]).name for line in captured.out.splitlines()] == ["a.jpg", "b.png"]
    told, summary = captured.err.splitlines()[:-2], captured.err.splitlines()[-2:]
    assert told == [
        f"pasarela: nothing matches {nothing}",
        f"pasarela: cannot read {missing}: No such file or directory",
        f"pasarela: {photos / 'notes.txt'}: this is no image",
    ]
    assert summary[0].startswith("2 images done, 2 failed, 1 source unreadable or not whole in ")
    assert summary[1] == "found 2 skirt"


def test_a_model_that_is_not_there_is_said_once(
    detect: Run, photos: Path, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.detect = lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'x'")
    assert detect(photos, "--model", "x") == 1
    assert capsys.readouterr().err == "pasarela: there is no model 'x'\n"


@pytest.mark.parametrize("command", [["detect", "{photo}"], ["models"]], ids=["detect", "models"])
def test_nobody_there_is_one_line_with_what_to_do(
    command: list[str], photos: Path, unused_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*(part.format(photo=photos / "a.jpg") for part in command), "--url", unused_url]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert unused_url in captured.err
    assert "make serve" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conf", "2"], "confidence is from 0 to 1"),
        (["--window", "0"], "window is at least 1"),
        (["--url", "http://here"], "looks like"),
    ],
)
def test_wrong_values(
    detect: Run, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert detect(photos / "a.jpg", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["detect"], ["detect", "a.jpg", "--confidence"], ["detect", "a.mp4", "--jpeg", "96"], ["dance"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: pasarela" in capsys.readouterr().err


def test_models_as_a_table(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--url", server.url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NAME     VERSION  STATE        PLATFORM  REASON",
        "broken   -        UNAVAILABLE            config.pbtxt:3:7: no such field",
        "skirts   9        UNAVAILABLE            unloaded",
        "skirts   10       READY        openvino",
        "waiting  -        UNKNOWN",
    ]


def test_models_as_json(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json", "--url", server.url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    state = {"name": "skirts", "version": "10", "state": "READY", "reason": ""}
    assert lines[2] == state | {"ready": True, "platform": "openvino", "labels": []}


def test_names_that_are_no_text_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: Any) -> int:
        print(json.dumps("caf\udce9.jpg", ensure_ascii=False))
        return 0

    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="utf-8"))
    monkeypatch.setattr(models, "run", run)
    assert main(["models"]) == 0
    assert json.loads(printed.getvalue()) == "caf\udce9.jpg"


def test_output_to_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Any) -> int:
        print("a line")
        return 0

    monkeypatch.setattr(models, "run", run)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["models"]) == 1
    assert capsys.readouterr().err == "pasarela: cannot write the output: No space left on device\n"


def test_a_reader_that_goes_away_is_no_traceback(server: Any, photos: Path) -> None:
    command = [*PROGRAM, "detect", "--url", server.url, *[str(photos / "a.jpg")] * 500]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().endswith(b"on the server\n")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("flags", [[], ["--deadline", "60"]], ids=["each by itself", "as a stream"])
def test_ctrl_c_ends_at_once_and_cancels(server: Any, service: Any, photos: Path, flags: list[str]) -> None:
    begun, over = threading.Event(), threading.Event()

    def hang(context: Any) -> None:
        context.add_callback(over.set)
        begun.set()
        over.wait()

    def detect(request: pb.DetectRequest, context: Any) -> pb.DetectResponse:
        hang(context)
        return pb.DetectResponse()

    def stream(frames: Iterator[pb.StreamDetectRequest], context: Any) -> Iterator[pb.StreamDetectResponse]:
        next(frames)
        hang(context)
        yield from ()

    service.detect, service.stream = detect, stream
    command = [*PROGRAM, "detect", "--url", server.url, *flags, *[str(photos / "a.jpg")] * 20]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert begun.wait(30)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (130, b"")
    assert over.wait(30)
