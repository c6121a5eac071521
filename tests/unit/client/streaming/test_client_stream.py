"""The stream against a real socket: order, window, errors, endings."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from pasarela_client import (
    DeadlineExpired,
    Detections,
    FrameError,
    ImageUnreadable,
    InvalidRequest,
    ModelNotFound,
    RequestCancelled,
    ServerFailure,
    ServerUnreachable,
)
from pasarela_proto import detection_pb2 as pb

PATIENCE_S = 20

Frames = Iterator[pb.StreamDetectRequest]
Answers = Iterator[pb.StreamDetectResponse]
OpenDetector = Callable[..., Any]


@pytest.fixture
def answer(
    make_answer: Callable[..., pb.DetectResponse],
) -> Callable[[pb.StreamDetectRequest], pb.StreamDetectResponse]:
    """Answers a frame with a detection named after the frame's bytes."""

    def build(frame: pb.StreamDetectRequest) -> pb.StreamDetectResponse:
        named = make_answer(name=frame.request.image.encoded.decode())
        return pb.StreamDetectResponse(frame_index=frame.frame_index, response=named)

    return build


def images(count: int) -> list[bytes]:
    return [f"image {index}".encode() for index in range(count)]


def name(result: Detections | FrameError) -> str:
    return result[0].name if isinstance(result, Detections) else type(result.error).__name__


@pytest.mark.parametrize("window", [1, 3, 100], ids=["one at a time", "some", "more than there are"])
def test_results_come_in_order_with_their_index(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any, window: int
) -> None:
    service.stream = lambda frames, context: map(answer, frames)
    with open_detector(server.url) as detector:
        results = list(detector.detect_stream(images(50), window=window))
    assert [name(result) for result in results] == [f"image {index}" for index in range(50)]
    assert [result.frame_index for result in results] == list(range(50))


def test_nothing_in_nothing_out(open_detector: OpenDetector, server: Any) -> None:
    with open_detector(server.url) as detector:
        assert list(detector.detect_stream([])) == []


def test_each_frame_says_model_version_and_options(open_detector: OpenDetector, server: Any, service: Any) -> None:
    with open_detector(server.url, "g", version="2") as detector:
        list(detector.detect_stream(images(3), confidence=0.25))
    assert [(one.model_name, one.model_version, one.options.confidence) for one in service.requests] == [
        ("g", "2", 0.25)
    ] * 3


def test_the_window_is_filled_and_never_exceeded(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any
) -> None:
    """The service answers nothing before it has `window` frames, so fewer would wait for ever."""
    window, count = 4, 40
    outstanding: list[int] = []

    def stream(frames: Frames, context: Any) -> Answers:
        held = list(itertools.islice(frames, window))
        for frame in frames:
            held.append(frame)
            outstanding.append(len(held))
            yield answer(held.pop(0))
        yield from map(answer, held)

    service.stream = stream
    pulled = seen = 0
    lead: list[int] = []

    def frames() -> Iterator[bytes]:
        nonlocal pulled
        for image in images(count):
            pulled += 1
            lead.append(pulled - seen)
            yield image

    # The service keeps `window` frames back and answers the first on seeing one more.
    with open_detector(server.url) as detector:
        for _ in detector.detect_stream(frames(), window=window + 1):
            seen += 1
    assert seen == count
    assert max(outstanding) == window + 1
    assert max(lead) <= window + 2  # one result may be on its way to the loop


def test_frames_are_pulled_only_as_results_are_taken(open_detector: OpenDetector, server: Any) -> None:
    pulled: list[int] = []

    def endless() -> Iterator[bytes]:
        for index in itertools.count():
            pulled.append(index)
            yield b"jpeg"

    with open_detector(server.url) as detector:
        results = detector.detect_stream(endless(), window=3)
        assert pulled == []
        for _ in range(10):
            next(results)
        results.close()
    assert 10 <= len(pulled) <= 10 + 3


@pytest.mark.parametrize("leave", ["break", "close", "detector"])
def test_leaving_early_cancels_the_call(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any, leave: str
) -> None:
    """The service goes on after the last frame, so the end of the frames alone would not end the call."""

    def stream(frames: Frames, context: Any) -> Answers:
        yield from map(answer, frames)
        service.stream_over.wait(2 * PATIENCE_S)

    service.stream = stream
    detector = open_detector(server.url)
    if leave == "break":
        for _ in detector.detect_stream(itertools.repeat(b"jpeg")):
            break
    else:
        results = detector.detect_stream(itertools.repeat(b"jpeg"))
        next(results)
        results.close() if leave == "close" else detector.close()
    assert service.stream_over.wait(PATIENCE_S)
    detector.close()


def test_a_stream_whose_detector_is_closed_says_so(open_detector: OpenDetector, server: Any) -> None:
    detector = open_detector(server.url)
    results = detector.detect_stream(itertools.repeat(b"jpeg"), window=1)
    next(results)
    detector.close()
    with pytest.raises(RequestCancelled):
        for _ in results:
            pass
    with pytest.raises(RequestCancelled, match="is closed"):
        next(detector.detect_stream([b"jpeg"]))


def test_a_finished_stream_is_not_cancelled(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any
) -> None:
    """The service is slow to end; a client that cancels would be noticed meanwhile."""
    cancelled: list[bool] = []

    def stream(frames: Frames, context: Any) -> Answers:
        yield from map(answer, frames)
        cancelled.append(service.stream_over.wait(0.3))

    service.stream = stream
    with open_detector(server.url) as detector:
        assert len(list(detector.detect_stream(images(3)))) == 3
        assert service.stream_over.wait(PATIENCE_S)
    assert cancelled == [False]


def test_an_error_for_one_frame_is_a_value(open_detector: OpenDetector, server: Any, service: Any, answer: Any) -> None:
    def stream(frames: Frames, context: Any) -> Answers:
        for frame in frames:
            if frame.frame_index == 2:
                error = pb.FrameError(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="cut short")
                yield pb.StreamDetectResponse(frame_index=2, error=error)
            else:
                yield answer(frame)

    service.stream = stream
    with open_detector(server.url) as detector:
        results = list(detector.detect_stream(images(5)))
    assert [name(result) for result in results] == ["image 0", "image 1", "InvalidRequest", "image 3", "image 4"]
    assert isinstance(results[2], FrameError)
    assert str(results[2].error) == "cut short"


def test_an_image_that_cannot_be_sent_stands_in_its_place(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any, tmp_path: Path
) -> None:
    service.stream = lambda frames, context: map(answer, frames)
    bad: list[Any] = [tmp_path / "missing.jpg", b"image 1", None, b"image 3", tmp_path / "too"]
    with open_detector(server.url) as detector:
        results = list(detector.detect_stream(bad, window=2))
    assert [name(one) for one in results] == [
        "ImageUnreadable",
        "image 1",
        "InvalidRequest",
        "image 3",
        "ImageUnreadable",
    ]
    assert [one.frame_index for one in results] == [0, 1, 2, 3, 4]


def test_a_stream_of_nothing_but_bad_images_ends(open_detector: OpenDetector, server: Any) -> None:
    with open_detector(server.url) as detector:
        results = list(detector.detect_stream(["missing.jpg"] * 30, window=2))
    assert len(results) == 30
    assert all(isinstance(one, FrameError) and isinstance(one.error, ImageUnreadable) for one in results)


def test_what_the_iterable_raises_comes_after_the_results_before_it(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any
) -> None:
    class CameraGone(Exception):
        pass

    def camera() -> Iterator[bytes]:
        yield from images(3)
        raise CameraGone

    service.stream = lambda frames, context: map(answer, frames)
    seen: list[str] = []
    with open_detector(server.url) as detector, pytest.raises(CameraGone):
        seen.extend(map(name, detector.detect_stream(camera())))
    assert seen == ["image 0", "image 1", "image 2"]


def test_the_server_goes_away_in_the_middle(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any
) -> None:
    def stream(frames: Frames, context: Any) -> Answers:
        yield answer(next(frames))
        for _ in frames:
            pass

    service.stream = stream
    with open_detector(server.url) as detector:
        results = detector.detect_stream(itertools.repeat(b"image"), window=3, reconnect_s=0)
        assert isinstance(next(results), Detections)
        server.stop()
        with pytest.raises(ServerUnreachable, match=server.url):
            assert {name(one) for one in results} == {"ServerUnreachable"}
    assert (results.counts.done, results.counts.lost, results.counts.pending) == (1, results.counts.pulled - 1, 0)


def test_the_server_refuses_the_whole_stream(open_detector: OpenDetector, server: Any, service: Any) -> None:
    service.stream = lambda frames, context: context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'x'")
    with open_detector(server.url, "x") as detector, pytest.raises(ModelNotFound, match="'x'"):
        next(detector.detect_stream(images(3)))


def test_the_server_ends_the_stream_too_early(
    open_detector: OpenDetector, server: Any, service: Any, answer: Any
) -> None:
    def stream(frames: Frames, context: Any) -> Answers:
        first, *_ = itertools.islice(frames, 5)
        yield answer(first)

    service.stream = stream
    with open_detector(server.url) as detector:
        results = detector.detect_stream(images(5))
        assert isinstance(next(results), Detections)
        lost = [next(results) for _ in range(4)]
        with pytest.raises(ServerFailure, match="more frames were due"):
            next(results)
        assert list(results) == []
    assert [name(one) for one in lost] == ["ServerFailure"] * 4


def test_a_server_that_never_answers(open_detector: OpenDetector, server: Any, service: Any) -> None:
    service.stream = lambda frames, context: (frame for frame in frames if context.add_callback(lambda: None) is None)
    with open_detector(server.url) as detector, pytest.raises(DeadlineExpired, match="timeout_s"):
        next(detector.detect_stream(itertools.repeat(b"jpeg"), timeout_s=0.1))
    assert service.stream_over.wait(PATIENCE_S)


def test_nobody_there(open_detector: OpenDetector, unused_url: str) -> None:
    with open_detector(unused_url) as detector, pytest.raises(ServerUnreachable, match=unused_url):
        next(detector.detect_stream(itertools.repeat(b"jpeg")))


@pytest.mark.parametrize("wrong", [{"window": 0}, {"confidence": 2}], ids=["window", "options"])
def test_wrong_arguments_are_refused_before_the_first_result(
    open_detector: OpenDetector, server: Any, wrong: dict[str, Any]
) -> None:
    with open_detector(server.url) as detector, pytest.raises(InvalidRequest):
        detector.detect_stream([b"jpeg"], **wrong)


def test_something_that_is_no_iterable_is_refused_at_once(open_detector: OpenDetector, server: Any) -> None:
    with open_detector(server.url) as detector, pytest.raises(TypeError):
        detector.detect_stream(5)  # type: ignore[arg-type]
