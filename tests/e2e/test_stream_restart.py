"""Streams while a real server is stopped, killed and started again on its port."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pasarela_client import Detections, Detector, FrameError, ServerUnreachable

ONLY_GARMENTS = ("--model-control-mode", "explicit", "--load-model", "garments")


@pytest.fixture(params=[signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def ending(request: pytest.FixtureRequest) -> signal.Signals:
    number: signal.Signals = request.param
    return number


def test_a_stream_survives_the_server(
    start_server: Callable[..., Any], repository: Path, sample_image: Path, ending: signal.Signals
) -> None:
    content, count = sample_image.read_bytes(), 40
    with start_server(repository, *ONLY_GARMENTS) as first, Detector(first.address) as detector:
        port = first.address.rpartition(":")[2]
        with detector.detect_stream(itertools.repeat(content, count), window=4, reconnect_s=100) as results:
            seen = list(itertools.islice(results, 10))
            first.stop(ending)
            with start_server(repository, *ONLY_GARMENTS, "--grpc-port", port):
                seen.extend(results)
    assert [result.frame_index for result in seen] == list(range(count))
    assert all(isinstance(result, Detections) for result in seen)
    assert {len(result.names) for result in seen if isinstance(result, Detections)} == {len(seen[0].names)}
    counts = results.counts
    assert (counts.done, counts.lost, counts.failed, counts.pending) == (count, 0, 0, 0)
    assert counts.reconnects >= 1
    assert counts.resent <= 4 * counts.reconnects


def test_a_live_stream_says_what_was_lost(
    start_server: Callable[..., Any], repository: Path, sample_image: Path, ending: signal.Signals
) -> None:
    """The camera gives the same picture until some came back from the second server."""
    content = sample_image.read_bytes()
    enough = threading.Event()

    def camera() -> Iterator[bytes]:
        while not enough.wait(0.005):
            yield content

    with start_server(repository, *ONLY_GARMENTS) as first, Detector(first.address) as detector:
        port = first.address.rpartition(":")[2]
        with detector.detect_stream(camera(), policy="drop-oldest", window=4, reconnect_s=100) as results:
            seen = list(itertools.islice(results, 20))
            first.stop(ending)
            with start_server(repository, *ONLY_GARMENTS, "--grpc-port", port):
                done_before = results.counts.done
                for result in results:
                    seen.append(result)
                    if results.counts.done >= done_before + 10:
                        enough.set()
    counts = results.counts
    assert [result.frame_index for result in seen] == list(range(counts.pulled))
    assert counts.done + counts.dropped + counts.lost + counts.failed == counts.pulled
    assert (counts.reconnects >= 1, counts.dropped > 0, counts.failed) == (True, True, 0)
    lost = [one for one in seen if isinstance(one, FrameError) and isinstance(one.error, ServerUnreachable)]
    assert len(lost) == counts.lost <= 4 * counts.reconnects
    assert all("lost with its connection" in str(one.error) for one in lost)
