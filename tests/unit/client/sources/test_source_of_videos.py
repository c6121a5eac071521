"""Videos as sources of frames: what comes, when, and what is said of those that are not whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pasarela_client.errors import SourceUnreadable
from pasarela_client.sources import open_source
from tests.unit.client.recordings import cut, damage, noise, number_of, numbered, record

CONTAINERS = [
    ("clip.mp4", "libx264", {}),
    ("clip.mov", "libx264", {}),
    ("clip.mkv", "libx264", {}),
    ("clip.webm", "libvpx", {}),
    ("clip.avi", "mjpeg", {}),
    ("clip.ts", "libx264", {}),
    ("clip.flv", "libx264", {}),
]
TELLS_ITS_LENGTH = [
    ("fast.mp4", "libx264", {"movflags": "+faststart"}),
    ("pieces.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    ("clip.mkv", "libx264", {}),
    ("clip.webm", "libvpx", {}),
    ("clip.avi", "mjpeg", {}),
    ("clip.flv", "libx264", {}),
]


def pixels(frame: Any) -> np.ndarray[Any, Any]:
    assert isinstance(frame.image, np.ndarray)
    return frame.image


@pytest.mark.parametrize(("name", "codec", "options"), CONTAINERS, ids=str)
def test_every_frame_with_its_time(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    path = record(tmp_path / name, map(numbered, range(25)), rate=10, codec=codec, options=options)
    with open_source(path) as source:
        assert (source.live, source.fps, source.size) == (False, 10, (64, 48))
        assert source.count == pytest.approx(25, abs=2)
        frames = list(source)
    assert [number_of(pixels(frame)) for frame in frames] == list(range(25))
    assert [frame.timestamp_s for frame in frames] == pytest.approx([index / 10 for index in range(25)], abs=0.002)
    assert {frame.origin for frame in frames} == {str(path)}
    assert all(pixels(frame).shape == (48, 64, 3) and pixels(frame).dtype == np.uint8 for frame in frames)


def test_frames_that_are_not_spaced_evenly_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.5, 0.6, 2.0]
    path = record(tmp_path / "clip.mp4", map(numbered, range(5)), times=times)
    with open_source(path) as source:
        assert [frame.timestamp_s for frame in source] == pytest.approx(times, abs=0.002)


def test_colours_are_red_green_blue(tmp_path: Path) -> None:
    orange = np.full((48, 64, 3), (250, 120, 20), np.uint8)
    with open_source(record(tmp_path / "clip.mp4", [orange] * 3)) as source:
        np.testing.assert_allclose(pixels(next(iter(source))).mean((0, 1)), (250, 120, 20), atol=6)


@pytest.mark.parametrize(
    ("degrees", "mirrored"), [(0, False), (90, False), (180, False), (-90, False), (0, True), (90, True)]
)
def test_frames_stand_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255
    path = record(tmp_path / "clip.mp4", [picture] * 3, degrees=degrees, mirrored=mirrored)
    expected = np.rot90(picture, degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    with open_source(path) as source:
        found = pixels(next(iter(source)))
        assert source.size == expected.shape[1::-1]
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=40)


@pytest.mark.parametrize(
    ("options", "numbers", "count"),
    [
        ({"every": 10}, [0, 10, 20], 3),
        ({"every": 100}, [0], 1),
        ({"max_frames": 4}, [0, 1, 2, 3], 4),
        ({"every": 7, "max_frames": 2}, [0, 7], 2),
    ],
)
def test_only_some_of_the_frames(tmp_path: Path, options: dict[str, int], numbers: list[int], count: int) -> None:
    path = record(tmp_path / "clip.mp4", map(numbered, range(25)))
    with open_source(path, **options) as source:
        assert source.count == count
        frames = list(source)
    assert [number_of(pixels(frame)) for frame in frames] == numbers
    assert [frame.timestamp_s for frame in frames] == pytest.approx([number / 10 for number in numbers], abs=0.002)


@pytest.mark.parametrize(("name", "codec", "options"), TELLS_ITS_LENGTH, ids=str)
def test_a_video_that_was_cut_short_gives_what_there_is_and_says_so(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = record(tmp_path / name, map(noise, range(40)), codec=codec, options=options)
    cut(path, 0.6)
    taken = []
    with open_source(path) as source, pytest.raises(SourceUnreadable) as raised:
        for frame in source:
            taken.append(frame)  # noqa: PERF402 - what was taken before the error counts
    assert 5 <= len(taken) < 35
    assert f"{path}: cut short or damaged: it ends after {len(taken)} frames" in str(raised.value)
    assert source.damaged == 0


@pytest.mark.parametrize(("name", "codec", "options"), [*CONTAINERS, *TELLS_ITS_LENGTH], ids=str)
def test_a_whole_video_is_not_said_to_be_cut_short(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = record(tmp_path / name, map(noise, range(40)), codec=codec, options=options)
    with open_source(path) as source:
        assert len(list(source)) == 40


def test_an_mp4_that_lost_its_index_says_so_at_once(tmp_path: Path) -> None:
    path = cut(record(tmp_path / "clip.mp4", map(noise, range(20))), 0.6)
    with pytest.raises(SourceUnreadable, match="cut short: the index of this MP4"):
        open_source(path)


def test_a_damaged_frame_is_counted_and_told_and_is_not_the_end(tmp_path: Path) -> None:
    path = damage(record(tmp_path / "clip.mp4", map(noise, range(40)), keep_open=4), 0.3, 3000)
    told: list[SourceUnreadable] = []
    with open_source(path, on_fault=told.append) as source:
        frames = list(source)
    assert 35 <= len(frames) < 40
    assert source.damaged > 40 - len(frames), "one that was given is not whole"
    assert frames[-1].timestamp_s == pytest.approx(3.9, abs=0.01)
    assert [str(error) for error in told] == [
        f"{path}: {source.damaged} frames are damaged; what could not be decoded is left out"
    ]


def test_without_anybody_to_be_told_damage_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = damage(record(tmp_path / "clip.mp4", map(noise, range(40)), keep_open=4), 0.3, 3000)
    with open_source(path) as source:
        list(source)
    assert "2 frames are damaged" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"this is a text about videos\n" * 50, "this is no video"),
        (b"", "the file is empty"),
        (None, "No such file or directory"),
    ],
    ids=["text", "empty", "missing"],
)
def test_what_is_no_video(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceUnreadable, match=message) as raised:
        open_source(path)
    assert str(path) in str(raised.value)


def test_a_name_that_no_file_can_have_is_told() -> None:
    with pytest.raises(SourceUnreadable, match=r"cannot read a\0b\.mp4: embedded null byte"):
        open_source("a\0b.mp4")


def test_sound_without_pictures_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("aac", rate=48000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 48000
        container.mux(track.encode(sound))
        container.mux(track.encode())
    with pytest.raises(SourceUnreadable, match="there is no video in it, only audio"):
        open_source(path)


def test_a_name_with_a_colon_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record(tmp_path / "a.mp4", map(numbered, range(3))).rename("take:2.mp4")
    with open_source("take:2.mp4") as source:
        assert len(list(source)) == 3


def test_sound_that_lasts_longer_than_the_pictures_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("libx264", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sounds: Any = container.add_stream("pcm_s16le", rate=8000)
        sounds.layout = "mono"
        for index in range(10):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(numbered(index), "rgb24")))
        container.mux(pictures.encode())
        for index in range(30):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.pts = 8000, index * 800
            container.mux(sounds.encode(sound))
        container.mux(sounds.encode())
    with open_source(path) as source:
        assert len(list(source)) == 10


def test_a_closed_source_ends(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", map(numbered, range(25)))
    with open_source(path) as source:
        frames = iter(source)
        next(frames)
    assert list(frames) == []


def test_recorded_frames_at_their_own_speed_wait_until_the_source_is_closed(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", map(numbered, range(3)), times=[0.0, 0.001, 3600.0])
    source = open_source(path, at_own_speed=True)
    assert source.live
    frames = iter(source)
    assert [number_of(pixels(next(frames))) for _ in range(2)] == [0, 1]
    source.close()
    assert list(frames) == []


def test_frames_as_jpeg(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mp4", map(numbered, range(3)))
    with open_source(path, jpeg_quality=90) as source:
        frames = list(source)
    assert all(isinstance(frame.image, bytes) and frame.image.startswith(b"\xff\xd8\xff") for frame in frames)
    assert frames[2].timestamp_s == pytest.approx(0.2, abs=0.002)
