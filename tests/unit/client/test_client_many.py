"""`detect_many` of either client, against a service behind a socket."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from pasarela_client import (
    AsyncDetector,
    Detections,
    FrameError,
    ImageUnreadable,
    InvalidRequest,
    MissingExtra,
    ModelNotFound,
    RequestCancelled,
    ServerUnreachable,
)
from pasarela_client.aio.many import AsyncBulkWork, AsyncManyResults
from pasarela_client.bulk import Pace
from pasarela_client.connection import Connection
from pasarela_client.detections import FrameResult
from pasarela_client.frame import Frame
from pasarela_client.progress import Progress


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:03}.jpg" for number in range(60)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d" % number)
    return paths


@pytest.mark.parametrize("ordered", [True, False])
def test_every_image_has_one_result(
    either_client: Any, server: Any, service: Any, photos: list[Path], ordered: bool
) -> None:
    with either_client(server.url) as detector:
        results = list(detector.detect_many(photos, ordered=ordered, confidence=0.5, priority=3))
    assert all(isinstance(result, Detections) for result in results)
    positions = [result.frame_index for result in results]
    assert (positions if ordered else sorted(positions)) == list(range(60))
    assert all(result.origin == str(result.image) == str(photos[result.frame_index]) for result in results)
    assert {int(request.image.encoded) for request in service.requests} == set(range(60))
    assert all((request.options.confidence, request.priority) == (0.5, 3) for request in service.requests)
    assert len({request.id for request in service.requests}) == 60


def test_nothing_gives_nothing(either_client: Any, server: Any) -> None:
    with either_client(server.url) as detector:
        assert list(detector.detect_many([])) == []


def test_an_image_that_cannot_be_read_stands_in_its_place(either_client: Any, server: Any, photos: list[Path]) -> None:
    photos[3].unlink()
    photos[5].write_bytes(b"")
    with either_client(server.url) as detector:
        results = list(detector.detect_many(photos[:8]))
    assert [result.ok for result in results] == [True, True, True, False, True, False, True, True]
    for number in (3, 5):
        assert isinstance(results[number], FrameError)
        assert isinstance(results[number].error, ImageUnreadable)
        assert (results[number].origin, results[number].frame_index) == (str(photos[number]), number)


def test_in_order_one_slow_image_holds_up_a_bounded_number_of_others(
    either_client: Any, server: Any, service: Any, make_answer: Any
) -> None:
    go_on = threading.Event()
    pulled: list[int] = []

    def images() -> Iterator[bytes]:
        for number in range(200):
            pulled.append(number)
            yield b"%d" % number

    def answer(request: Any, context: Any) -> Any:
        if request.image.encoded == b"0":
            go_on.wait()
        return make_answer()

    service.detect = answer
    with either_client(server.url) as detector:
        results = detector.detect_many(images(), concurrency=4)
        threading.Timer(0.3, go_on.set).start()
        first = next(results)
        assert first.frame_index == 0
        assert len(pulled) <= 2 * 4 + 1
        assert [result.frame_index for result in results] == list(range(1, 200))


def test_who_takes_no_results_stops_the_work(either_client: Any, server: Any, service: Any) -> None:
    pulled: list[int] = []

    def images() -> Iterator[bytes]:
        while True:
            pulled.append(1)
            yield b"jpeg"

    with either_client(server.url) as detector, detector.detect_many(images(), concurrency=3) as results:
        next(results)
        _until(lambda: len(service.requests) == len(pulled) == 7)
        for _ in range(10):
            next(results)
        _until(lambda: len(service.requests) == len(pulled) == 17)


def test_as_many_are_under_way_as_was_said(either_client: Any, server: Any, service: Any, make_answer: Any) -> None:
    now, most = 0, 0
    lock = threading.Lock()

    def answer(request: Any, context: Any) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.005)
        with lock:
            now -= 1
        return make_answer()

    service.detect = answer
    with either_client(server.url) as detector:
        assert len(list(detector.detect_many([b"jpeg"] * 60, concurrency=5))) == 60
    assert 2 <= most <= 5


def test_a_full_queue_is_asked_again_by_fewer_until_all_is_done(
    either_client: Any, server: Any, service: Any, make_answer: Any
) -> None:
    """Two places in the queue: all images are answered in the end."""
    lock = threading.Lock()
    now = refused = 0

    def answer(request: Any, context: Any) -> Any:
        nonlocal now, refused
        with lock:
            now += 1
            full = now > 2
            refused += full
        try:
            if full:
                context.set_trailing_metadata((("pasarela-error", "QueueFull"),))
                context.abort(grpc.StatusCode.UNAVAILABLE, "so many wait already")
            time.sleep(0.001)
            return make_answer()
        finally:
            with lock:
                now -= 1

    service.detect = answer
    with either_client(server.url) as detector:
        results = list(detector.detect_many([b"jpeg"] * 200))
    assert all(result.ok for result in results)
    assert refused


def test_leaving_early_cancels_what_is_under_way(
    either_client: Any, server: Any, service: Any, make_answer: Any
) -> None:
    over = threading.Semaphore(0)

    def answer(request: Any, context: Any) -> Any:
        if request.image.encoded == b"0":
            return make_answer()
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait()
        over.release()
        return make_answer()

    service.detect = answer
    images = [b"0"] + [b"never"] * 100
    with either_client(server.url) as detector, detector.detect_many(images, concurrency=4, timeout_s=600) as results:
        assert next(results).frame_index == 0
        _until(lambda: len(service.requests) == 5)
    for _ in range(4):
        assert over.acquire(timeout=10)
    assert len(service.requests) == 5


def test_closing_the_detector_ends_it(either_client: Any, server: Any) -> None:
    """The images have no end: it is over by an error, not by one for each of them."""
    with either_client(server.url) as detector:
        results = detector.detect_many(itertools.repeat(b"jpeg"))
        assert next(results).ok
        detector.close()
        with pytest.raises(RequestCancelled):
            list(results)


def test_what_the_images_raise_comes_after_the_results_before(either_client: Any, server: Any) -> None:
    def images() -> Iterator[bytes]:
        yield from [b"jpeg"] * 5
        raise LookupError("the disk is gone")

    results = []
    with either_client(server.url) as detector, pytest.raises(LookupError, match="disk"):
        results.extend(result.frame_index for result in detector.detect_many(images()))
    assert results == list(range(5))


def test_a_model_that_is_not_there_is_not_told_image_by_image(either_client: Any, server: Any, service: Any) -> None:
    service.detect = lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'x'")
    with either_client(server.url, "x") as detector, pytest.raises(ModelNotFound):
        list(detector.detect_many([b"jpeg"] * 1000))
    assert len(service.requests) < 50


def test_nobody_there_is_told_soon(either_client: Any, unused_url: str) -> None:
    with either_client(unused_url, retries=1) as detector, pytest.raises(ServerUnreachable, match=unused_url):
        list(detector.detect_many([b"jpeg"] * 1000))


async def test_servers_that_do_not_come_back_end_it() -> None:
    """As long as one image may take is waited for; not so long for each of a million, one after the other."""

    class Gone:
        connection = Connection()

        def others_are_well(self) -> bool:
            return False

    async def detect(frame: Frame, index: int, left_s: float | None, scope: Any) -> Detections:
        if index:
            raise ServerUnreachable("nothing answers")
        return Detections.empty((9, 9))

    work = AsyncBulkWork(
        itertools.repeat(b"jpeg", 100),
        detect,
        Gone(),  # type: ignore[arg-type]
        pace=Pace.of(None, servers=1),
        ordered=True,
        channels="RGB",
        timeout_s=0.2,
        progress=False,
    )
    results: list[FrameResult] = []
    begun_s = time.monotonic()
    with pytest.raises(ServerUnreachable, match="nothing answers"):
        async for result in AsyncManyResults(work):
            results.append(result)  # noqa: PERF401 - those before the error count
    assert [result.ok for result in results[:2]] == [True, False]
    assert [result.frame_index for result in results[1:]] == list(range(1, len(results)))
    assert time.monotonic() - begun_s >= 0.2


def test_an_error_that_comes_later_is_told_image_by_image(
    either_client: Any, server: Any, service: Any, make_answer: Any
) -> None:
    def answer(request: Any, context: Any) -> Any:
        if request.image.encoded == b"first":
            return make_answer()
        return context.abort(grpc.StatusCode.NOT_FOUND, "the model is gone")

    service.detect = answer
    with either_client(server.url) as detector:
        results = list(detector.detect_many([b"first", b"second", b"third"], concurrency=1))
    assert [result.ok for result in results] == [True, False, False]
    assert isinstance(results[1].error, ModelNotFound)
    assert results[1].error.request_id == service.requests[1].id


def test_time_that_is_over_fails_the_image_and_not_the_rest(
    either_client: Any, server: Any, service: Any, make_answer: Any
) -> None:
    def answer(request: Any, context: Any) -> Any:
        if request.image.encoded == b"slow":
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait()
        return make_answer()

    service.detect = answer
    with either_client(server.url) as detector:
        results = list(detector.detect_many([b"a", b"slow", b"b"], timeout_s=0.5))
    assert [result.ok for result in results] == [True, False, True]
    assert "in the time allowed" in str(results[1].error)


def test_a_function_is_told_how_far_it_is(either_client: Any, server: Any, photos: list[Path]) -> None:
    told: list[Progress] = []
    photos[0].unlink()
    with either_client(server.url) as detector:
        list(detector.detect_many(photos[:5], progress=told.append))
    assert [(one.done, one.failed, one.total) for one in told] == [(done, 1, 5) for done in range(1, 6)]
    assert told[-1].per_second > 0


def test_a_bar_is_drawn_when_it_is_asked_for(
    either_client: Any, server: Any, photos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with either_client(server.url) as detector:
        list(detector.detect_many(photos[:5]))
        assert capsys.readouterr().err == "", "nobody watches"
        list(detector.detect_many(photos[:5], progress=True))
    assert "5/5" in capsys.readouterr().err


def test_a_bar_without_tqdm_is_an_error_only_if_it_was_asked_for(
    either_client: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    with either_client(server.url) as detector:
        assert len(list(detector.detect_many([b"jpeg"]))) == 1
        with pytest.raises(MissingExtra, match=r"pip install 'pasarela-client\[media\]'"):
            list(detector.detect_many([b"jpeg"], progress=True))


@pytest.mark.parametrize("images", ["photos/", b"jpeg", Path("photos")])
def test_one_image_is_not_many(either_client: Any, server: Any, images: Any) -> None:
    with either_client(server.url) as detector, pytest.raises(InvalidRequest, match="in a list"):
        detector.detect_many(images)


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"confidence": 2.0}])
def test_arguments_are_checked_at_once(either_client: Any, server: Any, wrong: dict[str, Any]) -> None:
    with either_client(server.url) as detector, pytest.raises(InvalidRequest):
        detector.detect_many([b"jpeg"], **wrong)


async def test_a_wait_that_is_given_up_is_not_taken_for_the_end(server: Any, service: Any, make_answer: Any) -> None:
    go_on = threading.Event()

    def answer(request: Any, context: Any) -> Any:
        if request.image.encoded == b"slow":
            go_on.wait()
        return make_answer()

    service.detect = answer
    try:
        async with AsyncDetector(server.url) as detector:
            results = detector.detect_many([b"jpeg", b"slow", b"jpeg"])
            assert (await anext(results)).ok
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(results), 0.05)
            with pytest.raises(RequestCancelled, match="given up"):
                await anext(results)
            await results.aclose()
            assert [result async for result in results] == []
    finally:
        go_on.set()


def _until(true: Callable[[], bool]) -> None:
    """Waits for what must come; the test's time limit is the end of it."""
    while not true():
        time.sleep(0.005)


class Leaves(BaseException):
    """As `SystemExit` is, and what a cancelled task raises in who waits for it."""


@pytest.mark.parametrize("before", [0, 5], ids=["at once", "later"])
def test_whatever_the_images_raise_comes_out(either_client: Any, server: Any, before: int) -> None:
    def images() -> Iterator[bytes]:
        yield from [b"jpeg"] * before
        raise Leaves

    results = []
    with either_client(server.url) as detector, pytest.raises(Leaves):
        results.extend(result.frame_index for result in detector.detect_many(images()))
    assert results == list(range(before))


def test_an_image_that_pillow_stumbles_over_stands_in_its_place(either_client: Any, server: Any) -> None:
    closed = Image.new("RGB", (8, 8))
    closed.close()
    with either_client(server.url) as detector:
        first, second = detector.detect_many([closed, b"jpeg"])
    assert isinstance(first.error, InvalidRequest)
    assert second.ok
