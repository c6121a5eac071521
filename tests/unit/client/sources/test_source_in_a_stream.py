"""Sources as `detect_stream` takes them, in both clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pasarela_client import AsyncDetector, Detector, FrameError, ImageUnreadable, SourceUnreadable
from pasarela_client.sources import open_source
from tests.unit.client.recordings import cut, noise, numbered, record
from tests.unit.client.sources.cameras_for_tests import HttpCamera, playing


@pytest.fixture
def cut_short(tmp_path: Path) -> Path:
    return cut(record(tmp_path / "clip.mkv", map(noise, range(40))), 0.6)


def test_what_a_source_lacks_is_raised_after_the_results_of_what_it_gave(server: Any, cut_short: Path) -> None:
    results = []
    with Detector(server.url) as detector, open_source(cut_short) as frames:
        stream = detector.detect_stream(frames)
        with pytest.raises(SourceUnreadable, match="cut short or damaged"):
            for result in stream:
                results.append(result)  # noqa: PERF402 - those before the error count
    assert 5 <= len(results) < 40
    assert all(result.ok for result in results)
    assert [result.frame_index for result in results] == list(range(len(results)))
    assert results[1].timestamp_s == pytest.approx(0.1, abs=0.002)
    assert {result.origin for result in results} == {str(cut_short)}


async def test_the_same_with_asyncio(server: Any, cut_short: Path) -> None:
    results = []
    async with AsyncDetector(server.url) as detector:
        with open_source(cut_short) as frames, pytest.raises(SourceUnreadable, match="cut short or damaged"):
            async for result in detector.detect_stream(frames):
                results.append(result)  # noqa: PERF401
    assert 5 <= len(results) < 40


def test_files_that_cannot_be_read_are_errors_in_their_places(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    names = [tmp_path / "a.jpg", tmp_path / "gone.jpg", tmp_path / "a.jpg"]
    with Detector(server.url) as detector, open_source(names) as frames:
        first, missing, last = detector.detect_many(frames)
    assert first.ok
    assert last.ok
    assert isinstance(missing, FrameError)
    assert isinstance(missing.error, ImageUnreadable)
    assert missing.origin == str(tmp_path / "gone.jpg")


def test_a_live_source_is_not_waited_for_when_its_stream_is_left(server: Any) -> None:
    with (
        playing(HttpCamera(lambda index: numbered(index % 256), [None])) as camera,
        Detector(server.url) as detector,
        open_source(camera.url) as frames,
        detector.detect_stream(frames) as results,
    ):
        assert next(results).ok
        assert next(results).ok
