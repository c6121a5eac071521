"""An export is under its name when it is whole, and never before."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pasarela_client import ExportFailed, FrameError, InvalidRequest, QueueFull
from pasarela_client.exports import FORMATS, format_of, open_export
from tests.unit.client.full_disk import small_files
from tests.unit.client.made_results import make_found

FOUND = make_found(origin="a.jpg")
every_format = pytest.mark.parametrize("kind", FORMATS)


@every_format
def test_nothing_stands_under_the_name_before_the_end(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "found"
    with open_export(path, kind) as export:
        export.add(FOUND)
        assert not path.exists()
    assert path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["found"]
    assert export.path == path


@every_format
@pytest.mark.parametrize("exception", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path: Path, kind: Any, exception: type[BaseException]) -> None:
    with pytest.raises(exception), open_export(tmp_path / "found", kind) as export:
        export.add(FOUND)
        raise exception
    assert not list(tmp_path.iterdir())


@every_format
def test_what_is_given_up_is_gone_and_over(tmp_path: Path, kind: Any) -> None:
    export = open_export(tmp_path / "found", kind)
    export.add(FOUND)
    export.abort()
    export.abort()
    assert export.close() == tmp_path / "found"
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="is over, nothing can be added"):
        export.add(FOUND)


@every_format
def test_closing_twice_and_giving_up_after_the_end_change_nothing(tmp_path: Path, kind: Any) -> None:
    export = open_export(tmp_path / "found", kind)
    export.close()
    assert export.close() == tmp_path / "found"
    export.abort()
    assert (tmp_path / "found").exists()


@every_format
def test_a_process_that_is_killed_leaves_nothing_under_the_name(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "found"
    program = (
        "import os, signal, sys; from pasarela_client import Detections; from pasarela_client.exports import open_export\n"
        "export = open_export(sys.argv[1], sys.argv[2]); export.add(Detections.empty((9, 9)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, path, kind], check=False).returncode == -signal.SIGKILL
    assert not path.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".found.")
    assert left.name.endswith(".partial")


@every_format
def test_what_is_there_stays_unless_it_may_be_replaced(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "found"
    older = path / "old.txt" if kind == "yolo" else path
    older.parent.mkdir(exist_ok=True)
    older.write_text("old")
    with pytest.raises(InvalidRequest, match="found exists already; say overwrite"):
        open_export(path, kind)
    with pytest.raises(RuntimeError), open_export(path, kind, overwrite=True):
        raise RuntimeError
    assert older.read_text() == "old"
    with open_export(path, kind, overwrite=True) as export:
        export.add(FOUND)
    assert not older.exists() or older.read_bytes() != b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["found"]


@every_format
def test_what_comes_to_stand_there_meanwhile_stays(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "found"
    export = open_export(path, kind)
    older = path / "old.txt" if kind == "yolo" else path
    older.parent.mkdir(exist_ok=True)
    older.write_text("old")
    with pytest.raises(InvalidRequest, match="exists already"):
        export.close()
    assert older.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["found"]


def test_a_folder_that_holds_other_things_is_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.jpg").write_text("precious")
    with pytest.raises(InvalidRequest, match=r"holds more than is written anew \(a\.jpg\)"):
        open_export(folder, "yolo", overwrite=True)
    assert (folder / "deep" / "a.jpg").read_text() == "precious"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    with open_export(tmp_path / "labels") as export:
        export.add(FOUND)
    assert (tmp_path / "labels" / "a.txt").exists()


@pytest.mark.parametrize(("kind", "there"), [("csv", "folder"), ("yolo", "file")])
def test_a_file_is_no_folder(tmp_path: Path, kind: Any, there: str) -> None:
    path = tmp_path / "found"
    path.mkdir() if there == "folder" else path.touch()
    with pytest.raises(InvalidRequest, match=f"is a {there}, not a"):
        open_export(path, kind, overwrite=True)


@every_format
def test_a_place_that_cannot_be_written_to_is_found_at_once(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(ExportFailed, match=r"cannot write .*gone/found: No such file or directory") as raised:
        open_export(tmp_path / "gone" / "found", kind)
    assert raised.value.errno == errno.ENOENT
    assert isinstance(raised.value, OSError)


@every_format
def test_a_name_that_the_system_refuses_is_told(tmp_path: Path, kind: Any) -> None:
    """As it refuses to look into a folder that must not be entered."""
    with pytest.raises(ExportFailed, match=r"cannot write .*x: File name too long") as raised:
        open_export(tmp_path / ("x" * 300), kind)
    assert raised.value.errno == errno.ENAMETOOLONG
    assert not list(tmp_path.iterdir())


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "found.csv"
    link.symlink_to(tmp_path / "real" / "found.csv")
    with open_export(link) as export:
        export.add(FOUND)
    assert link.is_symlink()
    assert link.read_text().count("\n") == 3


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    open_export(tmp_path / "found.csv").close()
    assert (tmp_path / "found.csv").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("name", ["größer 🧥.csv", "a b'\"\n.csv", os.fsdecode(b"\xff.csv"), "x" * 251 + ".csv"])
def test_odd_paths(tmp_path: Path, name: str) -> None:
    with open_export(tmp_path / name) as export:
        export.add(FOUND)
    assert (tmp_path / name).stat().st_size


@every_format
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, kind: Any) -> None:
    """Whichever file of an export it is that cannot grow: the results, the images of COCO, one image's labels."""
    path = tmp_path / "found"
    crowd = make_found([[0.123, 0.456, 123.456, 234.567]] * 1000, origin="a.jpg")
    many = 100 if kind == "parquet" else 1
    with (
        small_files(),
        pytest.raises(ExportFailed, match=r"cannot write .*/found: File too large") as raised,
        open_export(path, kind) as export,
    ):
        for _ in range(many):
            export.add(crowd)
    assert raised.value.errno == errno.EFBIG
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="is over"):
        export.add(FOUND)


def test_a_full_disk_that_holds_only_the_images_is_told(tmp_path: Path) -> None:
    with (
        small_files(),
        pytest.raises(ExportFailed, match="File too large"),
        open_export(tmp_path / "found.json") as export,
    ):
        for index in range(1000):
            export.add(make_found([], origin=f"{index}.jpg"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["coco", "coco-results", "jsonl", "csv", "parquet"])
def test_a_device_that_is_full_is_told_and_stays(kind: Any) -> None:
    with (
        pytest.raises(ExportFailed, match="cannot write /dev/full: No space left on device") as raised,
        open_export("/dev/full", kind) as export,
    ):
        export.add(FOUND)
    assert raised.value.errno == errno.ENOSPC
    assert Path("/dev/full").exists()


@pytest.mark.parametrize("redirect", ["| cat > out", "> out", ">> out"])
def test_results_go_into_a_pipe(tmp_path: Path, redirect: str) -> None:
    program = (
        "from pasarela_client import Detections; from pasarela_client.exports import open_export\n"
        "with open_export('/dev/stdout', 'jsonl') as export: export.add(Detections.empty((9, 9)))"
    )
    command = f'echo before > out; "{sys.executable}" -c "$PROGRAM" {redirect}'
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PROGRAM": program}, check=True)
    lines = (tmp_path / "out").read_text().splitlines()
    assert '"width": 9' in lines[-1]
    assert (lines[0] == "before") == (redirect == ">> out")


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "yolo"])
def test_every_file_goes_into_a_pipe(tmp_path: Path, kind: Any) -> None:
    with open_export(tmp_path / "file", kind) as export:
        export.add(FOUND)
    read_end, write_end = os.pipe()
    with open_export(f"/dev/fd/{write_end}", kind) as export:
        export.add(FOUND)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        assert pipe.read() == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_each_result_goes_into_a_pipe_at_once(kind: Any) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    with open_export(f"/dev/fd/{write_end}", kind) as export:
        export.add(FOUND)
        assert b"a.jpg" in os.read(read_end, 1 << 16)
    os.close(read_end)
    os.close(write_end)


def test_a_file_that_others_write_to_is_written_on(tmp_path: Path) -> None:
    with (tmp_path / "all").open("wb", buffering=0) as file:
        file.write(b"head\n")
        with open_export(f"/dev/fd/{file.fileno()}", "csv") as export:
            export.add(FOUND)
        file.write(b"foot\n")
    lines = (tmp_path / "all").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("head", "foot")
    assert "a.jpg" in (tmp_path / "all").read_text()


def test_a_socket_takes_results() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with open_export(f"/dev/fd/{ours.fileno()}", "csv") as export:
            export.add(FOUND)
        assert b"a.jpg" in theirs.recv(1 << 16)


def test_a_reader_that_goes_away_is_no_full_disk(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BrokenPipeError), open_export(pipe, "csv") as export:
        os.close(reader)
        for _ in range(1000):
            export.add(FOUND)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.json", "coco"),
        ("a.JSONL", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("b.c/a.csv", "csv"),
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
        ("labels/", "yolo"),
        (Path("/tmp"), "yolo"),
    ],
)
def test_the_path_tells_the_format(path: str | Path, kind: str) -> None:
    assert format_of(path) == kind


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: open_export("found"), "cannot tell the format from 'found': end it in one of .json, .jsonl"),
        (lambda: open_export("found.xml"), "or say the format: coco, coco-results, jsonl, csv, parquet, yolo"),
        (lambda: open_export("found.csv", "tsv"), "a format is one of coco, .*, not 'tsv'"),  # type: ignore[arg-type]
        (
            lambda: open_export("found.csv", annotations="x.json"),
            "annotations is for coco and coco-results, not for csv",
        ),
        (lambda: open_export("found.csv", scores=False), "scores is for yolo, not for csv"),
        (lambda: open_export("found.csv", timings=True), "timings is for jsonl, not for csv"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequest, match=message):
        ask()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["coco", "coco-results", "jsonl", "csv", "yolo"])
def test_memory_does_not_grow_with_the_results(tmp_path: Path, kind: Any) -> None:
    peaks = []
    for frames in (100, 1000):
        with open_export(tmp_path / f"{frames}", kind) as export:
            tracemalloc.start()
            for index in range(frames):
                export.add(make_found(origin=f"{index}.jpg"))
                export.add(FrameError(index, QueueFull("x"), origin=f"{index}.jpg"))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000
