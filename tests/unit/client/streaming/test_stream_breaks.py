"""Servers that stop, start, hang, refuse or answer nonsense in the middle of a stream; both clients, real sockets."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from pasarela_client import (
    DeadlineExpired,
    Detections,
    FrameError,
    InvalidRequest,
    QueueFull,
    RequestCancelled,
    ServerFailure,
    ServerUnreachable,
)
from pasarela_proto import detection_pb2 as pb
from tests.unit.client.streaming.servers import PATIENCE_S, Answers, Frames, Port, answer, answer_all, refusal

Open = Callable[..., Any]
OpenPort = Callable[..., Port]


def images(count: int) -> list[bytes]:
    return [f"image {index}".encode() for index in range(count)]


def names(results: Any) -> list[str]:
    return [one[0].name if isinstance(one, Detections) else type(one.error).__name__ for one in results]


def break_at(count: int, status: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> Callable[..., Answers]:
    """A call that answers so many frames, waits for one more and breaks."""

    def call(frames: Frames, context: grpc.ServicerContext) -> Answers:
        yield from map(answer, itertools.islice(frames, count))
        next(frames)
        context.abort(status, "Socket closed")

    return call


def test_a_server_that_restarts_costs_nothing(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    seen = []
    with open_detector(port.url).detect_stream(images(60), window=4) as results:
        for result in results:
            seen.append(result)
            if len(seen) == 20:
                port.stop()
                threading.Timer(0.2, port.start).start()
    assert names(seen) == [f"image {index}" for index in range(60)]
    assert [one.frame_index for one in seen] == list(range(60))
    assert results.counts.reconnects >= 1
    assert results.counts.done == results.counts.pulled == 60
    assert results.counts.resent <= 4 * results.counts.reconnects


def test_a_live_stream_goes_on_with_new_frames(open_detector: Open, open_port: OpenPort) -> None:
    """The source waits until the server is back, so that the stream has something to go on with."""
    port = open_port()
    back = threading.Event()

    def camera() -> Iterator[bytes]:
        yield from images(3)
        assert back.wait(PATIENCE_S)
        yield from (b"new" for _ in range(3))

    hold = threading.Event()

    def holds_the_third(frames: Frames, context: grpc.ServicerContext) -> Answers:
        yield from map(answer, itertools.islice(frames, 2))
        next(frames)
        hold.set()
        yield from map(answer, frames)

    port.service.calls = [holds_the_third, answer_all]
    seen = []
    with open_detector(port.url).detect_stream(camera(), policy="drop-oldest", buffer=3) as results:
        for result in results:
            seen.append(result)
            if len(seen) == 2:
                assert hold.wait(PATIENCE_S)
                port.stop()
                port.start()
                back.set()
    assert names(seen) == ["image 0", "image 1", "ServerUnreachable", "new", "new", "new"]
    lost = seen[2]
    assert isinstance(lost, FrameError)
    assert "lost with its connection" in str(lost.error)
    assert (lost.image, lost.error.model) == (b"image 2", "garments")
    assert (results.counts.done, results.counts.lost, results.counts.reconnects) == (5, 1, 1)


def test_what_breaks_the_server_is_found_and_its_neighbours_live(open_detector: Open, open_port: OpenPort) -> None:
    def dies_of_poison(frames: Frames, context: grpc.ServicerContext) -> Answers:
        for frame in frames:
            if frame.request.image.encoded == b"image 5":
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            yield answer(frame)

    port = open_port(dies_of_poison)
    stream = open_detector(port.url).detect_stream(images(10), window=4)
    seen = list(stream)
    assert names(seen) == [*(f"image {index}" for index in range(5)), "ServerUnreachable",
                           *(f"image {index}" for index in range(6, 10))]  # fmt: skip
    assert port.service.images.count("image 5") == 3
    assert (stream.counts.done, stream.counts.lost, stream.counts.reconnects) == (9, 1, 3)


def test_when_the_time_is_up_all_frames_come_out_first(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(break_at(2))
    stream = open_detector(port.url).detect_stream(images(5), window=3, reconnect_s=0.3)
    seen = [next(stream), next(stream)]
    port.stop()
    with pytest.raises(ServerUnreachable, match=r"0\.3 s of trying") as raised:
        seen.extend(stream)
    assert names(seen)[:2] == ["image 0", "image 1"]
    assert set(names(seen)[2:]) == {"ServerUnreachable"}
    assert stream.counts.pulled == len(seen) == stream.counts.done + stream.counts.lost
    assert raised.value.model == "garments"
    assert list(stream) == []


def test_a_server_that_was_never_there_is_told_at_once(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    port.stop()
    stream = open_detector(port.url).detect_stream(itertools.repeat(b"jpeg"), reconnect_s=1000)
    with pytest.raises(ServerUnreachable, match=port.url):
        next(stream)
    assert stream.counts.pending == 0
    assert stream.counts.lost == stream.counts.pulled


def test_of_two_servers_the_one_that_is_there_is_taken(open_detector: Open, open_port: OpenPort) -> None:
    gone, there = open_port(), open_port()
    gone.stop()
    for _ in range(2):  # whichever of the two is asked first
        stream = open_detector([gone.url, there.url]).detect_stream(images(4), policy="drop-oldest", buffer=4)
        assert names(stream) == names_of(4)
        assert (stream.counts.sent, stream.counts.lost, stream.counts.reconnects) == (4, 0, 0)


def names_of(count: int) -> list[str]:
    return [f"image {index}" for index in range(count)]


def test_when_one_of_two_servers_goes_the_stream_goes_on_at_the_other(open_detector: Open, open_port: OpenPort) -> None:
    ports = [open_port(break_at(3), answer_all), open_port(break_at(3), answer_all)]
    stream = open_detector([port.url for port in ports]).detect_stream(images(12), window=2)
    assert names(stream) == names_of(12)
    assert stream.counts.reconnects >= 1
    assert all(port.service.count for port in ports)


def test_a_server_that_hangs_is_left_for_a_new_call(open_detector: Open, open_port: OpenPort) -> None:
    def hangs_at_the_third(frames: Frames, context: grpc.ServicerContext) -> Answers:
        yield from map(answer, itertools.islice(frames, 2))
        for _ in frames:
            pass

    port = open_port(hangs_at_the_third, answer_all)
    stream = open_detector(port.url).detect_stream(images(6), window=3, timeout_s=0.3)
    assert names(stream) == names_of(6)
    assert stream.counts.reconnects == 1


def test_a_server_that_never_answers_is_not_waited_for(open_detector: Open, open_port: OpenPort) -> None:
    def never(frames: Frames, context: grpc.ServicerContext) -> Answers:
        for _ in frames:
            pass
        yield from ()

    port = open_port(never)
    stream = open_detector(port.url).detect_stream(itertools.repeat(b"jpeg"), timeout_s=0.1)
    with pytest.raises(DeadlineExpired, match="timeout_s"):
        next(stream)
    assert port.service.over.wait(PATIENCE_S)
    assert port.service.count == 1


def test_nothing_is_sent_to_a_server_that_is_still_loading(open_detector: Open, open_port: OpenPort) -> None:
    asked = []

    def health() -> bytes:
        asked.append(port.service.count)
        return b"\x08\x02" if len(asked) < 3 else b"\x08\x01"

    port = open_port(break_at(2), answer_all, health=health)
    stream = open_detector(port.url).detect_stream(images(5), window=2)
    assert names(stream) == names_of(5)
    assert asked == [1, 1, 1], "no further call before the third question was answered with yes"


def test_a_server_that_stays_unready_is_given_up(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(break_at(1), answer_all, health=lambda: b"\x08\x02")
    stream = open_detector(port.url).detect_stream(images(5), window=2, reconnect_s=0.2)
    with pytest.raises(ServerUnreachable, match="is not ready"):
        list(stream)
    assert port.service.count == 1


def test_what_says_no_for_good_is_not_tried_again(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(break_at(2, grpc.StatusCode.INTERNAL))
    stream = open_detector(port.url).detect_stream(images(5), window=2)
    seen = []
    with pytest.raises(ServerFailure, match="Socket closed"):
        seen.extend(stream)
    assert port.service.count == 1
    assert stream.counts.lost == stream.counts.pulled - 2


def full_for(times: int) -> Callable[..., Answers]:
    """A server whose queue is full for each frame so many times."""
    refused: dict[int, int] = {}

    def call(frames: Frames, context: grpc.ServicerContext) -> Answers:
        for frame in frames:
            refused[frame.frame_index] = refused.get(frame.frame_index, 0) + 1
            yield refusal(frame) if refused[frame.frame_index] <= times else answer(frame)

    return call


def test_a_full_queue_is_asked_again(open_detector: Open, open_port: OpenPort) -> None:
    """The source ends before the last frame is refused, so a second call is needed for it."""
    port = open_port(full_for(2))
    stream = open_detector(port.url).detect_stream(images(6), window=4)
    assert names(stream) == names_of(6)
    assert (stream.counts.resent, stream.counts.failed, stream.counts.reconnects) == (12, 0, 0)


def test_a_full_queue_costs_a_live_stream_the_frame(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(full_for(1))
    stream = open_detector(port.url).detect_stream(images(1), policy="drop-oldest")
    (result,) = stream
    assert isinstance(result, FrameError)
    assert isinstance(result.error, QueueFull)
    assert result.error.request_id == port.service.requests[0].request.id
    assert (stream.counts.failed, stream.counts.resent) == (1, 0)


def test_a_full_queue_is_tried_no_longer_than_the_deadline(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(full_for(10**6))
    stream = open_detector(port.url).detect_stream(images(2), deadline_s=0.4)
    assert names(stream) == ["DeadlineExpired"] * 2
    assert stream.counts.expired == 2


def test_answers_in_another_order(open_detector: Open, open_port: OpenPort) -> None:
    def backwards(frames: Frames, context: grpc.ServicerContext) -> Answers:
        while some := list(itertools.islice(frames, 3)):
            yield from map(answer, reversed(some))

    port = open_port(backwards)
    assert names(open_detector(port.url).detect_stream(images(9), window=3)) == names_of(9)


def test_an_answer_that_was_given_before_ends_the_stream(open_detector: Open, open_port: OpenPort) -> None:
    def twice(frames: Frames, context: grpc.ServicerContext) -> Answers:
        first = next(frames)
        yield answer(first)
        yield answer(first)

    port = open_port(twice)
    stream = open_detector(port.url).detect_stream(images(5), window=2)
    seen = [next(stream)]
    with pytest.raises(ServerFailure, match="did not owe"):
        seen.extend(stream)
    assert names(seen)[0] == "image 0"
    assert port.service.over.wait(PATIENCE_S)


NONSENSE = [
    pytest.param({"response": pb.DetectResponse(detections=pb.Detections(scores=[0.5]))}, id="lists disagree"),
    pytest.param({}, id="nothing"),
]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_the_error_of_its_frame(open_detector: Open, open_port: OpenPort, nonsense: Any) -> None:
    def odd(frames: Frames, context: grpc.ServicerContext) -> Answers:
        for frame in frames:
            odd = pb.StreamDetectResponse(frame_index=1, **nonsense)
            yield odd if frame.frame_index == 1 else answer(frame)

    port = open_port(odd)
    stream = open_detector(port.url).detect_stream(images(3))
    assert names(stream) == ["image 0", "ServerFailure", "image 2"]
    assert stream.counts.failed == 1


def test_closing_the_detector_ends_an_outage(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(break_at(1))
    detector = open_detector(port.url)
    stream = detector.detect_stream(images(5), window=2, reconnect_s=1000)
    assert names([next(stream)]) == ["image 0"]
    port.stop()
    threading.Timer(0.2, detector.close).start()
    with pytest.raises(RequestCancelled, match="closed"):
        for _ in stream:
            pass


def test_an_image_that_nobody_can_encode_is_a_value(open_detector: Open, open_port: OpenPort) -> None:
    class Odd(np.ndarray[Any, Any]):
        def tobytes(self, order: Any = None) -> bytes:
            raise ZeroDivisionError("odd")

    odd = np.zeros((2, 2, 3), np.uint8).view(Odd)
    port = open_port()
    result, after = open_detector(port.url).detect_stream([odd, b"image 1"])
    assert isinstance(result, FrameError)
    assert isinstance(result.error, InvalidRequest)
    assert "ZeroDivisionError" in str(result.error)
    assert names([after]) == ["image 1"]


def test_a_call_that_the_server_cancels_is_a_break(open_detector: Open, open_port: OpenPort) -> None:
    """gRPC's servers may end calls so when they stop."""
    port = open_port(break_at(2, grpc.StatusCode.CANCELLED), answer_all)
    stream = open_detector(port.url).detect_stream(images(5), window=2)
    assert names(stream) == names_of(5)
    assert stream.counts.reconnects == 1


def test_a_detector_that_is_closed_just_before_the_call_says_so(open_detector: Open) -> None:
    def token() -> str:
        detector.close()
        return "token"

    detector = open_detector("127.0.0.1:1", token=token)
    with pytest.raises(RequestCancelled, match="closed"):
        next(detector.detect_stream(images(1)))


def test_what_is_no_token_names_stream_and_model(open_detector: Open) -> None:
    detector = open_detector("127.0.0.1:1", token=lambda: "")
    with pytest.raises(InvalidRequest, match="token") as raised:
        next(detector.detect_stream(images(1)))
    assert raised.value.model == "garments"
    assert raised.value.request_id


@pytest.mark.parametrize("limits", [{"deadline_s": math.inf}, {"timeout_s": math.inf}, {"deadline_s": 1e14}])
def test_a_limit_that_is_none(open_detector: Open, open_port: OpenPort, limits: dict[str, float]) -> None:
    assert names(open_detector(open_port().url).detect_stream(images(3), **limits)) == names_of(3)
