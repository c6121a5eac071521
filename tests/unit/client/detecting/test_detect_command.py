"""`pasarela detect` on videos, cameras and pipes: what is written where, and the exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from pasarela_client.__main__ import main
from pasarela_proto import detection_pb2 as pb
from tests.unit.client.full_disk import small_files
from tests.unit.client.recordings import cut, damage, noise, number_of, numbered, record
from tests.unit.client.sources.cameras_for_tests import HttpCamera, RtspCamera, playing

Run = Callable[..., int]
PROGRAM = [sys.executable, "-m", "pasarela_client"]
SIZE = {"width": 640, "height": 480}


def big(index: int) -> Any:
    """Of the size that the service for tests answers for."""
    return numbered(index % 256, **SIZE)


@pytest.fixture
def detect(server: Any) -> Run:
    return lambda *arguments: main(["detect", "--url", server.url, *map(str, arguments)])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return record(tmp_path / "clip.mp4", map(big, range(12)))


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def frames_of(path: Path) -> list[tuple[float, int]]:
    with av.open(str(path)) as container:
        return [
            (round(float(picture.time), 3), number_of(picture.to_ndarray(format="rgb24")[440:]))
            for picture in container.decode(video=0)
        ]


def still(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 480), (90, 120, 150)).save(path)
    return path


def test_a_video_is_a_line_a_frame_and_a_summary(detect: Run, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(clip, "--every", 5) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [f"{clip}  0:0{when}00  1 skirt  3 ms" for when in ("0.0", "0.5", "1.0")]
    assert captured.err.startswith("3 frames done in ")
    assert captured.err.splitlines()[1:] == ["found 3 skirt"]


def test_a_video_as_json_lines(detect: Run, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(clip, "--json", "--max-frames", 3, "--quiet") == 0
    captured = capsys.readouterr()
    lines = lines_of(captured.out)
    assert [line["timestamp_s"] for line in lines] == pytest.approx([0.0, 0.1, 0.2], abs=0.002)
    assert [(line["origin"], line["frame_index"]) for line in lines] == [(str(clip), index) for index in range(3)]
    assert captured.err == ""


@pytest.mark.parametrize("flags", [["--jpeg", "off"], ["--jpeg", "80"], []], ids=["pixels", "jpeg", "as usual"])
def test_a_video_is_saved_with_its_times(
    detect: Run, service: Any, clip: Path, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect(clip, "--save", tmp_path / "found.mp4", "--every", 2, *flags) == 0
    found = frames_of(tmp_path / "found.mp4")
    assert found == [(pytest.approx(0.2 * index, abs=0.002), 2 * index) for index in range(6)]
    assert f"written: {tmp_path / 'found.mp4'} (6 with boxes)" in capsys.readouterr().err
    sent = [request.image.WhichOneof("source") for request in service.requests]
    assert set(sent) == ({"raw"} if "off" in flags else {"encoded"})


def test_a_folder_of_images_and_videos_is_saved_with_its_folders(detect: Run, tmp_path: Path) -> None:
    still(tmp_path / "in" / "a.jpg")
    still(tmp_path / "in" / "deep" / "a.jpg")
    record(tmp_path / "in" / "deep" / "clip.mkv", map(big, range(3)))
    record(tmp_path / "in" / "deep" / "clip2.mkv", map(big, range(2)))
    assert detect(tmp_path / "in", "--recursive", "--save", tmp_path / "out", "--quiet") == 0
    saved = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert saved == ["a.jpg", "deep/a.jpg", "deep/clip.mp4", "deep/clip2.mp4"]
    assert [len(frames_of(tmp_path / "out" / "deep" / name)) for name in ("clip.mp4", "clip2.mp4")] == [3, 2]


def test_one_image_is_saved_as_a_file(detect: Run, tmp_path: Path) -> None:
    assert detect(still(tmp_path / "a.jpg"), "--save", tmp_path / "b.png") == 0
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.size == (640, 480)


def test_images_become_a_video(detect: Run, tmp_path: Path) -> None:
    for index in (8, 9, 10):
        Image.fromarray(big(index)).save(tmp_path / f"{index:03}.png")
    assert detect(tmp_path / "%03d.png", "--save", tmp_path / "out.mp4", "--quiet") == 0
    assert [number for _, number in frames_of(tmp_path / "out.mp4")] == [8, 9, 10]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}/clip.mp4", "--save", "{0}"], "would overwrite"),
        (["{0}/clip.mp4", "--save", "{0}/clip.mp4", "--overwrite"], "would overwrite"),
        (["{0}/clip.mp4", "--save", "{0}/a.jpg"], "exists already; say --overwrite"),
        (["{0}/clip.mp4", "--csv", "{0}/a.jpg"], "exists already; say overwrite"),
        (["{0}/clip.mp4", "{0}/clip.mp4", "--save", "{0}/all.mp4"], "one file takes one video"),
        (["{0}/clip.mp4", "--save", "{0}/out.jpg"], "one file takes one image"),
        (["{0}/a.jpg", "{0}/a.jpg", "--save", "{0}/out.jpg"], "one file takes one image"),
        (["{0}/a.jpg", "--json", "--csv", "-"], "only one form of results"),
        (["{0}/a.jpg", "--csv", "{0}/out", "--coco", "{0}/out"], "are in each other's way"),
        (["{0}/a.jpg", "--save", "{0}/out", "--yolo", "{0}/out/"], "are in each other's way"),
        (["{0}/a.jpg", "--yolo", "{0}/out", "--csv", "{0}/out/found.csv"], "are in each other's way"),
        (["{0}/a.jpg", "--save", "{0}/out.webm"], "videos are saved as .mp4"),
        (["{0}/a.jpg", "--every", "0"], "every is at least 1"),
        (["{0}/a.jpg", "-"], "stands alone"),
        (["{0}/clip.mp4", "--deadline", "0"], "deadline_s is more than 0"),
    ],
)
def test_what_cannot_be_carried_out(
    detect: Run, clip: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    still(tmp_path / "a.jpg")
    before = clip.read_bytes()
    assert detect(*(argument.format(tmp_path) for argument in arguments)) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "clip.mp4"]
    assert clip.read_bytes() == before


def test_results_in_every_form_at_once(detect: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.jpg", "b.jpg"):
        still(tmp_path / "in" / name)
    places = {"--csv": "f.csv", "--coco": "f.json", "--yolo": "labels"}
    flags = [word for flag, name in places.items() for word in (flag, str(tmp_path / name))]
    assert detect(tmp_path / "in", *flags, "--quiet") == 0
    assert (tmp_path / "f.csv").read_text().count("skirt") == 2
    assert len(json.loads((tmp_path / "f.json").read_text())["annotations"]) == 2
    assert {path.name for path in (tmp_path / "labels").rglob("*.txt")} >= {"a.txt", "b.txt"}
    assert capsys.readouterr().out == ""


def test_results_take_the_place_of_older_ones_if_that_is_said(detect: Run, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("older")
    assert detect(still(tmp_path / "a.jpg"), "--csv", tmp_path / "f.csv", "--overwrite") == 0
    assert "skirt" in (tmp_path / "f.csv").read_text()


def test_a_table_can_be_piped(server: Any, tmp_path: Path) -> None:
    command = [*PROGRAM, "detect", "--url", server.url, str(still(tmp_path / "a.jpg")), "--csv", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    head, row = done.stdout.splitlines()
    assert "skirt" in row
    assert head.count(",") == row.count(",")


def test_a_video_that_was_cut_short_is_done_as_far_as_it_goes(
    detect: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = record(tmp_path / "clip.mkv", (noise(index, **SIZE) for index in range(12)))
    cut(path, 0.6)
    (tmp_path / "text.mp4").write_text("no video\n" * 99)
    assert detect(path, tmp_path / "text.mp4", still(tmp_path / "a.jpg"), "--json", "--save", tmp_path / "out") == 1
    captured = capsys.readouterr()
    origins = [line["origin"] for line in lines_of(captured.out)]
    assert 3 <= origins.count(str(path)) < 12
    assert origins[-1] == str(tmp_path / "a.jpg")
    told = captured.err.splitlines()
    assert told[0].startswith(
        f"pasarela: {path}: cut short or damaged: it ends after {origins.count(str(path))} frames"
    )
    assert told[1] == f"pasarela: {tmp_path / 'text.mp4'}: this is no video"
    assert "2 sources unreadable or not whole" in told[2]
    assert len(frames_of(tmp_path / "out" / "clip.mp4")) == origins.count(str(path))


def test_damaged_frames_are_told_and_fail_the_run(
    detect: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damage(record(tmp_path / "clip.mp4", map(noise, range(40)), keep_open=4), 0.3, 3000)
    assert detect(path, "--json") == 1
    captured = capsys.readouterr()
    assert lines_of(captured.out)[-1]["timestamp_s"] == pytest.approx(3.9, abs=0.002)
    assert f"pasarela: {path}: 2 frames are damaged" in captured.err


@pytest.mark.parametrize("flag", ["--csv", "--save"])
def test_a_full_disk(detect: Run, tmp_path: Path, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that must not grow is refused by the system as one on a full disk is."""
    pictures = map(numbered, range(400)) if flag == "--csv" else (noise(index, **SIZE) for index in range(8))
    path = record(tmp_path / "clip.mp4", pictures)
    out = tmp_path / "out"
    out.mkdir()
    target = out / ("found.csv" if flag == "--csv" else "found.mp4")
    with small_files():
        assert detect(path, flag, target, "--quiet") == 1
    captured = capsys.readouterr()
    assert captured.err == f"pasarela: cannot write {target}: File too large\n"
    assert list(out.iterdir()) == []


def test_a_full_disk_ends_the_saving_of_pictures_too(
    detect: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(3):
        Image.fromarray(noise(index, **SIZE)).save(tmp_path / f"{index}.jpg")
    with small_files():
        assert detect(tmp_path, "--save", tmp_path / "out") == 1
    assert f"pasarela: cannot write {tmp_path / 'out' / '0.jpg'}: File too large" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_piped_in(server: Any, clip: Path, tmp_path: Path) -> None:
    command = [*PROGRAM, "detect", "--url", server.url, "-", "--json", "--quiet"]
    listed = f"{still(tmp_path / 'a.jpg')}\n{tmp_path / 'gone.jpg'}\n{still(tmp_path / 'b.jpg')}\n"
    paths = subprocess.run(command, input=listed.encode(), capture_output=True, check=False)
    assert paths.returncode == 1
    assert [Path(line["origin"]).name for line in lines_of(paths.stdout.decode())] == ["a.jpg", "b.jpg"]
    assert paths.stderr.decode() == f"pasarela: cannot read {tmp_path / 'gone.jpg'}: No such file or directory\n"
    images = subprocess.run(command, input=(tmp_path / "a.jpg").read_bytes() * 3, capture_output=True, check=True)
    assert [line["origin"] for line in lines_of(images.stdout.decode())] == [f"stdin-{n:06}" for n in (1, 2, 3)]
    video = record(tmp_path / "clip.mkv", map(big, range(4))).read_bytes()
    frames = subprocess.run(command, input=video, capture_output=True, check=True)
    assert [line["timestamp_s"] for line in lines_of(frames.stdout.decode())] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_a_camera(detect: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with playing(RtspCamera(big, [60, None])) as camera:
        assert detect(camera.url, "--max-frames", 50, "--save", tmp_path, "--json") == 0
    captured = capsys.readouterr()
    lines = lines_of(captured.out)
    assert lines
    assert {line["origin"] for line in lines} == {f"rtsp://127.0.0.1:{camera.port}/live"}
    assert "connecting again" in captured.err
    assert "back after" in captured.err
    assert "secret" not in captured.out + captured.err
    (saved,) = tmp_path.glob("127.0.0.1-live-*.mp4")
    assert len(frames_of(saved)) == len(lines)


def test_a_slow_server_drops_frames_of_a_camera_and_that_is_no_failure(
    detect: Run, service: Any, make_answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on = threading.Event()

    def stream(frames: Iterator[pb.StreamDetectRequest], context: Any) -> Iterator[pb.StreamDetectResponse]:
        for count, frame in enumerate(frames):
            if count == 0:
                go_on.wait(1)
            yield pb.StreamDetectResponse(frame_index=frame.frame_index, response=make_answer())

    service.stream = stream
    with playing(HttpCamera(big, [None], fps=60)) as camera:
        assert detect(camera.url, "--max-frames", 40, "--window", 2, "--quiet", "--json") == 0
    done = {line["frame_index"] for line in lines_of(capsys.readouterr().out)}
    assert 0 < len(done) < 40, "some are done, some were left out"


@pytest.mark.parametrize(
    ("live", "number", "code"),
    [(True, signal.SIGINT, 130), (False, signal.SIGINT, 130), (True, signal.SIGTERM, 143)],
    ids=["camera", "recording", "camera, ended by a service manager"],
)
def test_ctrl_c_keeps_what_a_camera_gave_and_leaves_no_half_of_a_recording(
    server: Any, tmp_path: Path, live: bool, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out"
    path = tmp_path / "clip.mp4"
    with playing(HttpCamera(big, [None])) as camera:
        source = camera.url if live else str(record(path, map(big, range(100))))
        flags = ["--json", "--save", str(out), "--csv", str(tmp_path / "f.csv"), *([] if live else ["--live"])]
        command = [*PROGRAM, "detect", "--url", server.url, source, *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout
            first = [process.stdout.readline() for _ in range(5)]
            process.send_signal(number)
            printed = len(first + process.stdout.readlines())
            assert process.stderr
            errors = process.stderr.read()
    assert all(first)
    assert process.returncode == code, errors
    assert b"interrupted: " in errors
    assert b"Traceback" not in errors
    assert list(out.glob(".*")) == []
    if live:
        (saved,) = out.iterdir()
        assert len(frames_of(saved)) == printed, "what is printed is saved, too"
        assert (tmp_path / "f.csv").read_text().count("skirt") == printed
    else:
        assert list(out.iterdir()) == []
        assert not (tmp_path / "f.csv").exists()


def test_a_reader_of_frames_that_goes_away(server: Any, tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", map(big, range(100)))
    command = [*PROGRAM, "detect", "--url", server.url, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
