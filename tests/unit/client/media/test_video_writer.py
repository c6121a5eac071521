"""Videos that are written: what is in them, and that there is none that is not whole."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pasarela_client.errors import ExportFailed, InvalidRequest
from pasarela_client.media import VideoWriter
from pasarela_client.media.fitting import even_size, fitted
from tests.unit.client.full_disk import small_files
from tests.unit.client.recordings import noise, number_of, numbered


def read(path: Path) -> tuple[list[float], list[np.ndarray[Any, Any]]]:
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
        return [float(picture.time) for picture in pictures], [
            picture.to_ndarray(format="rgb24") for picture in pictures
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".M4V"])
def test_frames_come_back_with_their_times(tmp_path: Path, suffix: str) -> None:
    times = [10.0, 10.04, 10.08, 11.5, 11.54]
    with VideoWriter(tmp_path / f"out{suffix}", fps=25) as writer:
        for index, when in enumerate(times):
            writer.add(numbered(index), when)
        assert list(tmp_path.glob("out*")) == [], "it stands under its name when it is whole"
    found_times, pictures = read(writer.path)
    assert found_times == pytest.approx([when - 10 for when in times], abs=0.002)
    assert [number_of(picture) for picture in pictures] == list(range(5))
    assert writer.frames == 5
    with av.open(str(writer.path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    assert [path.name for path in tmp_path.iterdir()] == [writer.path.name]


def test_frames_without_times_are_spaced_evenly(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", fps=10) as writer:
        for index in range(4):
            writer.add(numbered(index))
    assert read(writer.path)[0] == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=0.002)


def test_frames_at_the_same_time_stay_apart(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4") as writer:
        for index, when in enumerate((1.0, 1.0, 0.5, 1.1)):
            writer.add(numbered(index), when)
    times, pictures = read(writer.path)
    assert [number_of(picture) for picture in pictures] == [0, 1, 2, 3]
    assert times == sorted(times)
    assert times[3] == pytest.approx(0.1, abs=0.002)


def test_odd_sides_are_made_even_and_other_sizes_fitted(tmp_path: Path) -> None:
    white = np.full((47, 63, 3), 255, np.uint8)
    with VideoWriter(tmp_path / "out.mp4") as writer:
        writer.add(white)
        writer.add(np.full((96, 64, 3), 255, np.uint8))
    _, (first, second) = read(writer.path)
    assert first.shape == second.shape == (48, 64, 3)
    assert first.min() > 240
    assert second[:, :10].max() < 20, "a picture of another shape has black bars"
    assert second[:, 28:36].min() > 240


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 48), (64, 48)), ((63, 48), (64, 48)), ((63, 47), (64, 48)), ((1, 1), (2, 2))]
)
def test_even_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert even_size(*size) == expected
    picture = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)
    grown = fitted(picture, expected)
    assert grown.shape == (expected[1], expected[0], 3)
    np.testing.assert_array_equal(grown[: size[1], : size[0]], picture)


def test_a_block_that_raises_leaves_nothing_and_an_older_video_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("older")
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "out.mp4") as writer:
        writer.add(numbered(1))
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "older"


def test_a_full_disk_is_told_and_nothing_that_looks_whole_is_left(tmp_path: Path) -> None:
    with (
        small_files(),
        pytest.raises(ExportFailed, match=r"cannot write .*out\.mp4: File too large") as raised,
        VideoWriter(tmp_path / "out.mp4") as writer,
    ):
        for index in range(100):
            writer.add(noise(index, width=320, height=240))
    assert raised.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_frames_is_none(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="not one frame"), VideoWriter(tmp_path / "out.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"videos are written as \.mp4.*, not as out\.avi"):
        VideoWriter(tmp_path / "out.avi")
    with pytest.raises(ExportFailed, match=r"cannot write .*No such file or directory"):
        VideoWriter(tmp_path / "gone" / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_what_was_given_up_is_over(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4")
    writer.add(numbered(1))
    writer.abort()
    assert writer.given_up
    with pytest.raises(ExportFailed, match=r"cannot write .*out\.mp4: it was given up"):
        writer.close()
    with pytest.raises(ValueError, match="is over, nothing can be added"):
        writer.add(numbered(2))
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_and_giving_up_after_the_end_change_nothing(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4")
    writer.add(numbered(1))
    writer.close()
    writer.abort()
    assert writer.close() == tmp_path / "out.mp4"
    assert not writer.given_up
    with pytest.raises(ValueError, match="is over, nothing can be added"):
        writer.add(numbered(2))
