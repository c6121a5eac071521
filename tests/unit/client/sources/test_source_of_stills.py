"""Image files and what is piped in as sources of frames."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pasarela_client.errors import InvalidRequest, SourceUnreadable
from pasarela_client.sources import open_source
from pasarela_client.sources.image_stream import BrokenImage, split_images
from pasarela_client.sources.pipe import Pipe
from tests.unit.client.recordings import cut, number_of, numbered, record

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


def encoded(form: str, seed: int = 0, size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes, piece: int) -> None:
        self._file = io.BytesIO(content)
        self._piece = piece

    def fileno(self) -> int:
        raise OSError("no file of the system's")

    def read(self, count: int = -1) -> bytes:
        return self._file.read(self._piece)


@pytest.fixture
def pipe_in() -> Iterator[Callable[[bytes], BinaryIO]]:
    """A real pipe that somebody writes to and closes."""
    with contextlib.ExitStack() as pipes:

        def make(content: bytes) -> BinaryIO:
            reading, writing = os.pipe()

            def write() -> None:
                with contextlib.suppress(BrokenPipeError), open(writing, "wb", buffering=0) as file:
                    file.write(content)

            threading.Thread(target=write, daemon=True).start()
            return pipes.enter_context(open(reading, "rb", buffering=0))

        yield make


def test_files_of_several_arguments_in_their_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "deep/c10.png", "deep/c9.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded("JPEG"))
    with open_source([tmp_path / "b.jpg", tmp_path / "gone.jpg", tmp_path / "deep"]) as source:
        assert (source.live, source.count, source.fps, source.size) == (False, 4, None, None)
        assert source.roots == (tmp_path / "deep",)
        frames = list(source)
    names = ["b.jpg", "gone.jpg", "deep/c9.png", "deep/c10.png"]
    assert [frame.image for frame in frames] == [tmp_path / name for name in names]
    assert [frame.origin for frame in frames] == [str(tmp_path / name) for name in names]
    assert {frame.timestamp_s for frame in frames} == {None}


def test_each_second_file_across_arguments(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{number}.jpg") for number in range(5)]
    with open_source(names, every=2) as source:
        assert source.count == 3
        assert [frame.origin for frame in source] == names[::2]


def test_stills_and_videos_together(tmp_path: Path) -> None:
    record(tmp_path / "clip2.mp4", map(numbered, range(4)))
    record(tmp_path / "clip10.mp4", map(numbered, range(3)))
    (tmp_path / "clip3.jpg").write_bytes(encoded("JPEG"))
    with open_source(tmp_path) as source:
        assert source.count == 8
        names = [Path(frame.origin).name for frame in source]
    assert names == ["clip2.mp4"] * 4 + ["clip3.jpg"] + ["clip10.mp4"] * 3


def test_what_cannot_be_read_is_told_and_the_rest_follows(tmp_path: Path) -> None:
    cut(record(tmp_path / "cut.mp4", map(numbered, range(9))), 0.3)
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    record(tmp_path / "good.mp4", map(numbered, range(3)))
    told: list[SourceUnreadable] = []
    arguments = [tmp_path / "*.gif", tmp_path / "cut.mp4", tmp_path / "text.mp4", tmp_path / "good.mp4"]
    with open_source(arguments, on_fault=told.append) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2]
    assert [str(error).removeprefix(str(tmp_path)) for error in told] == [
        f"nothing matches {tmp_path}/*.gif",
        "/cut.mp4: cut short: the index of this MP4 stands at its end and is missing, so nothing of it can be read",
        "/text.mp4: this is no video",
    ]


def test_without_anybody_to_be_told_it_is_raised_in_its_turn(tmp_path: Path) -> None:
    record(tmp_path / "good.mp4", map(numbered, range(3)))
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    with open_source([tmp_path / "good.mp4", tmp_path / "text.mp4"]) as source:
        frames = iter(source)
        assert [number_of(next(frames).image) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(SourceUnreadable, match="this is no video"):
            next(frames)
    with pytest.raises(SourceUnreadable, match="nothing matches"):
        open_source([tmp_path / "good.mp4", tmp_path / "*.gif"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every is at least 1"),
        ({"max_frames": 0}, "max_frames is at least 1"),
        ({"jpeg_quality": 96}, "jpeg_quality is from 1 to 95"),
        ({"reconnect_s": -1}, "reconnect_s is at least 0"),
    ],
)
def test_options_out_of_their_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        open_source("a.jpg", **options)


def test_what_is_piped_in_stands_alone() -> None:
    with pytest.raises(InvalidRequest, match="stands alone"):
        open_source(["a.jpg", "-"])


def test_paths_that_are_piped_in(tmp_path: Path, pipe_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record(tmp_path / "clip.mp4", map(numbered, range(2)))
    lines = b"a.jpg\r\n\nb[1].jpg\nclip.mp4\nn\xe9.jpg\nlast.jpg"
    with open_source("-", stdin=pipe_in(lines)) as source:
        assert (source.count, source.live) == (None, False)
        frames = list(source)
    assert [os.fsencode(frame.origin) for frame in frames] == [
        b"a.jpg", b"b[1].jpg", b"clip.mp4", b"clip.mp4", b"n\xe9.jpg", b"last.jpg",
    ]  # fmt: skip


def test_a_path_is_taken_as_soon_as_its_line_has_come() -> None:
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as write, open(reading, "rb", buffering=0) as read:
        source = open_source("-", stdin=read)
        frames = iter(source)
        write.write(b"a.jpg\n")
        assert next(frames).origin == "a.jpg"
        write.write(b"b.jpg\n")
        assert next(frames).origin == "b.jpg"
        source.close()
        assert list(frames) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\n  \n"])
def test_nothing_that_is_piped_in_is_no_frames(pipe_in: Any, content: bytes) -> None:
    with open_source("-", stdin=pipe_in(content)) as source:
        assert list(source) == []


@pytest.mark.parametrize("form", FORMATS)
def test_images_that_are_piped_in(pipe_in: Any, form: str) -> None:
    images = [encoded(form, seed) for seed in range(5)]
    with open_source("-", every=2, stdin=pipe_in(b"".join(images))) as source:
        frames = list(source)
    assert [frame.image for frame in frames] == images[::2]
    assert [frame.origin for frame in frames] == ["stdin-000001", "stdin-000003", "stdin-000005"]


def test_a_video_that_is_piped_in(tmp_path: Path, pipe_in: Any) -> None:
    path = record(tmp_path / "clip.mkv", map(numbered, range(12)))
    with open_source("-", stdin=pipe_in(path.read_bytes())) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert frames[11].timestamp_s == pytest.approx(1.1, abs=0.002)
    assert {frame.origin for frame in frames} == {"stdin"}


def test_bytes_that_are_nothing_are_told(pipe_in: Any) -> None:
    with (
        open_source("-", stdin=pipe_in(bytes(range(32)) * 20)) as source,
        pytest.raises(SourceUnreadable, match="stdin: this is neither a list of paths, nor images, nor a video"),
    ):
        list(source)


def test_who_waits_for_a_pipe_is_woken_by_close() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as read:
        source = open_source("-", stdin=read)
        ended = threading.Event()

        def take() -> None:
            assert list(source) == []
            ended.set()

        threading.Thread(target=take, daemon=True).start()
        source.close()
        assert ended.wait(5)
    os.close(writing)


@given(
    st.lists(st.tuples(st.sampled_from(FORMATS), st.integers(0, 3)), max_size=6),
    st.sampled_from([b"", b"\n", b"\0\0", b"\r\n"]),
    st.integers(1, 5000),
)
def test_images_are_told_apart_however_they_come(chosen: list[tuple[str, int]], between: bytes, piece: int) -> None:
    images = [IMAGES[form, seed] for form, seed in chosen]
    pipe = Pipe(Trickle(b"".join(image + between for image in images), piece))  # type: ignore[arg-type]
    assert list(split_images(pipe)) == images


@given(st.sampled_from(FORMATS), st.floats(0.05, 0.99))
def test_an_image_that_is_cut_short_is_not_given(form: str, part: float) -> None:
    whole = IMAGES[form, 0]
    pipe = Pipe(io.BytesIO(whole + whole[: max(1, int(len(whole) * part))]))
    images = split_images(pipe)
    assert next(images) == whole
    with pytest.raises(BrokenImage, match="ends within image 2"):
        next(images)


@pytest.mark.parametrize(
    "rubbish",
    [b"text after the image", b"RICE", b"\x89PMG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR", b"\xff\xd8ab"],
)
def test_what_is_no_image_is_told(rubbish: bytes) -> None:
    images = split_images(Pipe(io.BytesIO(IMAGES["JPEG", 0] + rubbish * 20)))
    assert next(images) == IMAGES["JPEG", 0]
    with pytest.raises(BrokenImage, match="what comes after image 1 is no image"):
        next(images)


def test_jpegs_with_thumbnails_and_restart_markers_and_several_scans_are_one_image() -> None:
    exif = Image.Exif()
    exif[0x010E] = "\xff\xd9 looks like an end"
    images = [
        encoded("JPEG", 1, (200, 160), exif=exif),
        encoded("JPEG", 2, (200, 160), progressive=True),
        encoded("JPEG", 3, (200, 160), restart_marker_blocks=1),
        encoded("JPEG", 4, comment=b"\xff\xd8\xff\xd9"),
    ]
    assert list(split_images(Pipe(io.BytesIO(b"".join(images))))) == images


IMAGES = {(form, seed): encoded(form, seed) for form in FORMATS for seed in range(4)}
