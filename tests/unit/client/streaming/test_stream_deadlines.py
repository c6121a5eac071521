"""Deadlines of single frames, and what requests and results carry; both clients, real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from pasarela_client import DeadlineExpired, Detections, Frame, FrameError, InvalidRequest
from tests.unit.client.streaming.servers import PATIENCE_S, Answers, Frames, Port, answer

Open = Callable[..., Any]
OpenPort = Callable[..., Port]


def test_a_frame_that_is_late_comes_out_as_expired_and_its_late_answer_is_ignored(
    open_detector: Open, open_port: OpenPort
) -> None:
    """The second frame comes when the first has expired, and is answered after it: one answer is late."""
    go_on = threading.Event()

    def slow(frames: Frames, context: grpc.ServicerContext) -> Answers:
        first = next(frames)
        assert go_on.wait(PATIENCE_S)
        yield answer(first)
        yield from map(answer, frames)

    def source() -> Any:
        yield b"first"
        assert go_on.wait(PATIENCE_S)
        yield b"second"

    port = open_port(slow)
    stream = open_detector(port.url).detect_stream(source(), deadline_s=2.0)
    late = next(stream)
    go_on.set()
    in_time = next(stream)
    assert isinstance(late, FrameError)
    assert isinstance(late.error, DeadlineExpired)
    assert "deadline_s" in str(late.error)
    assert late.error.request_id == port.service.requests[0].request.id
    assert isinstance(in_time, Detections)
    assert list(stream) == []
    assert (stream.counts.expired, stream.counts.failed, stream.counts.done) == (1, 1, 1)


def test_the_server_is_told_what_is_left_of_the_deadline(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    list(open_detector(port.url).detect_stream([b"a"], deadline_s=60.0, priority=2))
    (sent,) = port.service.requests
    assert 0 < sent.request.timeout_us <= 60_000_000
    assert sent.request.priority == 2


def test_without_a_deadline_none_is_sent(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    list(open_detector(port.url).detect_stream([b"a"]))
    assert port.service.requests[0].request.timeout_us == 0


def test_results_say_which_frame_they_belong_to(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    pixels = np.zeros((2, 4, 3), np.uint8)
    frames = [Frame(pixels, "clip.mp4", 0.04, "BGR"), "missing.jpg", Frame(b"jpeg", "clip.mp4", 0.08)]
    with open_detector(port.url).detect_stream(frames) as results:
        array, missing, encoded = results
    assert isinstance(array, Detections)
    assert (array.frame_index, array.origin, array.timestamp_s, array.channels) == (0, "clip.mp4", 0.04, "BGR")
    assert array.image is pixels
    assert isinstance(missing, FrameError)
    assert (missing.frame_index, missing.origin, missing.image) == (1, "missing.jpg", "missing.jpg")
    assert missing.error.model == "garments"
    assert isinstance(encoded, Detections)
    assert (encoded.frame_index, encoded.timestamp_s, encoded.image) == (2, 0.08, b"jpeg")
    sent = [frame.request for frame in port.service.requests]
    assert sent[0].image.raw.channels == 1, "BGR, as the frame says"
    assert len({one.id for one in sent}) == 2
    assert [array.request_id, encoded.request_id] == [one.id for one in sent]
    assert array.timings.round_trip_ns > 0


def test_arrays_without_a_frame_take_the_order_of_the_stream(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    list(open_detector(port.url).detect_stream(np.zeros((3, 2, 4, 3), np.uint8), channels="BGR"))
    assert [frame.request.image.raw.channels for frame in port.service.requests] == [1, 1, 1]


WRONG = [
    # reason: nothing could ever be sent
    ({"window": 0}, "window is at least 1"),
    # reason: the newest frame must have a place to wait
    ({"buffer": 0}, "buffer is at least 1"),
    # reason: it would have passed before it began
    ({"deadline_s": 0}, "deadline_s is more than 0"),
    ({"deadline_s": -1}, "deadline_s is more than 0"),
    ({"timeout_s": 0}, "timeout_s is more than 0"),
    ({"reconnect_s": -1}, "reconnect_s is 0"),
    ({"reconnect_s": float("nan")}, "reconnect_s is 0"),
    # reason: a word that means nothing must not mean the default
    ({"policy": "drop_oldest"}, "'block' or 'drop-oldest'"),
    ({"confidence": 2}, "confidence is from 0 to 1"),
    ({"priority": -1}, "priority"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_wrong_arguments_are_told_at_once(open_detector: Open, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        open_detector("127.0.0.1:1").detect_stream([b"jpeg"], **wrong)


@pytest.mark.parametrize("one", ["a.jpg", b"jpeg", memoryview(b"jpeg")])
def test_one_image_is_no_stream(open_detector: Open, one: Any) -> None:
    """A text can be iterated, too: its letters would each be an image that is missing."""
    with pytest.raises(InvalidRequest, match="put it into a list"):
        open_detector("127.0.0.1:1").detect_stream(one)
