"""Both sides of an image without processes between them: whatever comes in between, each room is freed and each request counted once."""

import asyncio
import json
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pasarela_proto import detection_pb2 as pb
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.yolo import Layout, YoloDetector
from pasarela_server.errors import BackendFailure, InvalidRequest, ModelNotFound, OutOfMemory, QueueFull, ServerStopping
from pasarela_server.frontends import found
from pasarela_server.frontends.back import Back
from pasarela_server.frontends.desk import Desks
from pasarela_server.frontends.images import FrontImageService
from pasarela_server.frontends.link import Frames, Streams, encode
from pasarela_server.observability.exposition import Exposition
from pasarela_server.observability.metrics import Metrics
from pasarela_server.observability.record import Caller
from pasarela_server.processes.framing import BrokenLink
from pasarela_server.processes.memory import SharedMemory
from pasarela_server.repository.pipeline import DetectionPipeline, ImageLimits
from pasarela_server.repository.servable import Handle
from pasarela_server.request import Timings
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.status import FailureTable, Unforeseen
from pasarela_server.scheduling.batch import BatchAnswer
from pasarela_server.tensor import DataType

PAGE = 4096
JPEG = cv2.imencode(".jpg", np.full((32, 32, 3), 200, np.uint8))[1].tobytes()


def detector(*names, side=32):
    return YoloDetector(
        "images", "output0", names, (side, side), 32, DataType.FP32, Layout.ANCHORS, 1, takes_pixels=True
    )


def output(classes, anchors=12, score=0.9):
    """One object, of the first class, in the middle of a picture of 32x32."""
    answer = np.zeros((1, 4 + classes, anchors), np.float32)
    answer[0, :5, 0] = 16, 16, 8, 8, score
    return {"output0": answer}


class Raw:
    """A raw model whose answers the test gives."""

    def __init__(self, detector):
        self.detector = detector
        self.images = None
        self.submitted = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.refusal = None

    def require_detector(self):
        return self.detector

    def submit(self, inputs, rows, deadline_monotonic_s, priority=0):
        if self.refusal is not None:
            raise self.refusal
        future = Future()
        self.submitted.put_nowait((inputs["images"], future))
        return future


class Models:
    """A repository of one detection model."""

    def __init__(self, raw):
        self.raw = raw
        self.handles = 0
        self.replace()

    def replace(self, **limits):
        pipeline = DetectionPipeline(
            "m", 3, lambda: nullcontext(self.raw), None, DetectOptions(), ImageLimits(**limits)
        )
        self.servable = SimpleNamespace(version=3, config=SimpleNamespace(name="m"), pipeline=pipeline)

    def acquire(self, name, version):
        if name != "m":
            raise ModelNotFound(f"there is no model {name!r}")
        self.handles += 1
        return Handle(self.servable, self._release)

    def _release(self):
        self.handles -= 1


class Loop:
    """A front and its desk, with the wire between them and one thread for images."""

    def __init__(self, arena_bytes):
        self.loop = asyncio.get_running_loop()
        self.raw = Raw(detector("shirt"))
        self.models = Models(self.raw)
        self.metrics = Metrics()
        self.pool = ThreadPoolExecutor(1)
        desks = Desks(self.models, self.metrics, FailureTable())
        desks.deliveries = SimpleNamespace(put=lambda call, argument: call(argument))
        fd = os.memfd_create("test")
        os.ftruncate(fd, arena_bytes)
        self.desk = desks.open(self._send(lambda: self.back.received), SharedMemory(fd, arena_bytes))
        self.back = Back(self._send(lambda: self.desk.received), SharedMemory(fd, arena_bytes))
        os.close(fd)
        self.service = FrontImageService(self.back, self.pool, OpenCalls(), FailureTable())

    def _send(self, receiver):
        frames = Frames()

        def arrive(frame):
            for message in frames.feed(frame):
                receiver()(message)

        return lambda message: self.loop.call_soon_threadsafe(arrive, encode(message))

    def ask(self, **changes):
        request = pb.DetectRequest(**({"model_name": "m", "id": "r", "image": {"encoded": JPEG}} | changes))
        return asyncio.create_task(self.service.answer(request, None))

    async def settle(self):
        """Returns when nothing is under way between the two."""
        await self.loop.run_in_executor(self.pool, lambda: None)
        for _ in range(9):
            await asyncio.sleep(0)

    async def check_idle(self, success, failed):
        """Everything is given back, and so many requests have been counted."""
        await self.settle()
        counted = self.metrics.statistics.of("m", 3)
        assert (counted.success.count, counted.fail.count) == (success, failed)
        assert self.models.handles == 0
        assert self.back._arena._slots.taken == 0
        assert not self.back._submitted
        assert not self.back._asked
        assert not self.desk._entries


@pytest.fixture
async def looped():
    made = Loop(16 * PAGE)
    yield made
    made.pool.shutdown()


def answered(future, outputs):
    future.set_result(
        BatchAnswer(outputs, Timings(queue_ns=5, infer_ns=7, batch_size=2, close_reason="full", instance=1))
    )


async def test_an_image_is_answered(looped):
    asking = looped.ask()
    array, future = await looped.raw.submitted.get()
    assert (array.shape, array.dtype) == ((1, 32, 32, 3), np.uint8)
    assert abs(int(array[0, 16, 16, 0]) - 200) < 3
    future.set_running_or_notify_cancel()
    answered(future, output(1))
    reply = await asking
    assert list(reply.detections.class_names) == ["shirt"]
    assert list(reply.detections.boxes) == [12, 12, 20, 20]
    assert (reply.id, reply.model_version, reply.timings.infer_ns, reply.timings.close_reason) == ("r", "3", 7, "full")
    await looped.check_idle(1, 0)


async def test_any_priority_that_a_request_can_name_arrives(looped):
    asking = looped.ask(priority=2**32 - 1)
    _, future = await looped.raw.submitted.get()
    answered(future, output(1))
    assert list((await asking).detections.class_names) == ["shirt"]
    await looped.check_idle(1, 0)


async def test_what_was_found_is_counted_by_the_back(looped):
    for score in (0.9, 0.6):
        asking = looped.ask()
        _, future = await looped.raw.submitted.get()
        answered(future, output(1, score=score))
        await asking
    await looped.settle()
    text = Exposition(looped.metrics).text().decode()
    assert 'pasarela_detections{class="shirt",model="m",version="3"} 2.0' in text
    assert 'pasarela_detection_confidence_bucket{le="0.65",model="m",version="3"} 1.0' in text


async def test_who_called_is_told_to_the_back(looped):
    told = []
    looped.metrics.listen(told.append)
    caller = Caller("pasarela.v1.DetectionService/Detect", "00-1-2-01", "vendor=1")
    asking = asyncio.create_task(
        looped.service.answer(pb.DetectRequest(model_name="m", image={"encoded": JPEG}), None, caller)
    )
    _, future = await looped.raw.submitted.get()
    answered(future, output(1))
    await asking
    with pytest.raises(InvalidRequest):
        await looped.service.answer(pb.DetectRequest(model_name="m", image={"encoded": b"text"}), None, caller)
    await looped.settle()
    assert [(record.caller, record.error) for record in told] == [(caller, None), (caller, InvalidRequest)]


async def test_the_streams_of_a_front_that_has_gone_are_no_longer_open(looped):
    for difference in (1, 1, -1):
        looped.desk.received(Streams(difference, "s/Stream"))
    open_ones = 'pasarela_open_streams{method="s/Stream"} '
    assert f"{open_ones}1.0" in Exposition(looped.metrics).text().decode()
    looped.desk.lost()
    assert f"{open_ones}0.0" in Exposition(looped.metrics).text().decode()


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"1234567", id="half a score"),  # reason: bytes are missing
        pytest.param(
            np.int32([1]).tobytes() + np.float32([0.5]).tobytes(), id="a class too high"
        ),  # reason: of another model
        pytest.param(np.int32([-1]).tobytes() + np.float32([0.5]).tobytes(), id="a class below 0"),  # reason: nonsense
    ],
)
def test_what_cannot_have_been_found_is_refused(packed):
    with pytest.raises(BrokenLink):
        found.unpack(packed, ("shirt",))


async def test_an_output_that_is_larger_than_its_place_comes_all_the_same_and_has_a_place_the_next_time(looped):
    for room in (PAGE, 5 * PAGE):
        asking = looped.ask()
        _, future = await looped.raw.submitted.get()
        (attempt,) = looped.back._submitted.values()
        assert -(-attempt._size // PAGE) * PAGE == room
        answered(future, output(1, anchors=1000))
        assert list((await asking).detections.class_names) == ["shirt"]
    await looped.check_idle(2, 0)


@pytest.mark.parametrize(
    "change",
    [
        # reason: a detection model was loaded anew with other limits, or the raw model under it with other classes
        pytest.param(lambda looped: looped.models.replace(max_waiting=7), id="the detection model"),
        pytest.param(
            lambda looped: setattr(looped.raw, "detector", detector("hat", "coat", side=64)), id="the raw model"
        ),
    ],
)
async def test_an_image_that_was_prepared_for_a_model_that_has_changed_is_prepared_again(looped, change):
    first = looped.ask()
    _, future = await looped.raw.submitted.get()
    answered(future, output(1))
    await first

    change(looped)
    asking = looped.ask()
    array, future = await looped.raw.submitted.get()
    side = looped.raw.detector.image_size[0]
    assert array.shape == (1, side, side, 3)
    answered(future, output(len(looped.raw.detector.names)))
    assert list((await asking).detections.class_names) == [looped.raw.detector.names[0]]
    await looped.check_idle(2, 0)


@pytest.mark.parametrize(
    ("spoil", "changes", "error"),
    [
        pytest.param(None, {"image": {"encoded": b"text"}}, InvalidRequest, id="no picture"),
        pytest.param(None, {"image": None}, InvalidRequest, id="no image"),
        pytest.param(None, {"options": {"class_names": ["unicorn"]}}, InvalidRequest, id="an unknown class"),
        pytest.param(lambda raw: setattr(raw, "refusal", QueueFull("full")), {}, QueueFull, id="a full queue"),
        pytest.param(lambda raw: setattr(raw, "refusal", KeyError("bug")), {}, Unforeseen, id="a fault of the server"),
    ],
)
async def test_a_failure_counts_once(looped, spoil, changes, error):
    if spoil is not None:
        spoil(looped.raw)
    for _ in range(2):  # without and with what is known of the model
        with pytest.raises(error):
            await looped.ask(**changes)
    await looped.check_idle(0, 2)


async def test_a_failure_of_the_network_counts_once(looped):
    asking = looped.ask()
    _, future = await looped.raw.submitted.get()
    future.set_exception(BackendFailure("it burns"))
    with pytest.raises(BackendFailure, match="it burns"):
        await asking
    await looped.check_idle(0, 1)


async def test_an_unknown_model_counts_for_none(looped):
    for changes in ({}, {"image": None}):
        with pytest.raises(ModelNotFound, match="'trousers'"):
            await looped.ask(model_name="trousers", **changes)
    await looped.check_idle(0, 0)


async def cancel_at_once(looped, asking):
    asking.cancel()


async def cancel_while_it_is_looked_up(looped, asking):
    await asyncio.sleep(0)
    asking.cancel()


async def cancel_while_it_waits(looped, asking):
    _, future = await looped.raw.submitted.get()
    asking.cancel()
    await looped.settle()
    assert future.cancelled()


async def cancel_while_it_is_executed(looped, asking):
    _, future = await looped.raw.submitted.get()
    future.set_running_or_notify_cancel()
    asking.cancel()
    await looped.settle()
    assert looped.back._arena._slots.taken == 1, "the network may still read the image"
    answered(future, output(1))


async def cancel_while_boxes_are_read(looped, asking):
    _, future = await looped.raw.submitted.get()
    answered(future, output(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()


@pytest.mark.parametrize(
    ("cancel", "counted"),
    [
        pytest.param(cancel_at_once, 0, id="before it begins"),
        pytest.param(cancel_while_it_is_looked_up, 1, id="while it is looked up"),
        pytest.param(cancel_while_it_waits, 1, id="while it waits"),
        pytest.param(cancel_while_it_is_executed, 1, id="while it is executed"),
        pytest.param(cancel_while_boxes_are_read, 1, id="while boxes are read"),
    ],
)
async def test_a_client_that_goes_away_leaves_nothing_behind(looped, cancel, counted):
    asking = looped.ask()
    await cancel(looped, asking)
    with pytest.raises(asyncio.CancelledError):
        await asking
    await looped.check_idle(0, counted)


@pytest.fixture
def painter(monkeypatch):
    """Stops each image as it is laid into its room, until the test says `go`."""
    painter = SimpleNamespace(begun=threading.Event(), go=threading.Event(), spoilt=False)
    apply = Letterbox.apply

    def slowly(self, image, into=None):
        painter.begun.set()
        assert painter.go.wait(30)
        if painter.spoilt:
            raise MemoryError("no more")
        return apply(self, image, into)

    monkeypatch.setattr(Letterbox, "apply", slowly)
    return painter


@pytest.mark.parametrize("spoilt", [False, True])
async def test_room_is_not_given_to_another_image_while_a_thread_writes_to_it(looped, painter, spoilt):
    painter.spoilt = spoilt
    asking = looped.ask()
    assert await asyncio.to_thread(painter.begun.wait, 30)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert looped.back._arena._slots.taken == 1
    painter.go.set()
    await looped.check_idle(0, 1)


async def test_an_image_that_finds_no_memory_gives_its_room_back(looped, painter):
    painter.spoilt = True
    painter.go.set()
    with pytest.raises(OutOfMemory):
        await looped.ask()
    await looped.check_idle(0, 1)


async def test_an_image_is_made_where_the_back_reads_it(looped, monkeypatch):
    written = []
    monkeypatch.setattr(SharedMemory, "write", lambda self, offset, array: written.append(self))
    asking = looped.ask()
    array, future = await looped.raw.submitted.get()
    assert abs(int(array[0, 16, 16, 0]) - 200) < 3
    future.set_exception(BackendFailure("that will do"))
    with pytest.raises(BackendFailure):
        await asking
    assert not written


async def test_without_room_an_image_waits_for_its_turn():
    looped = Loop(PAGE)
    first, second = looped.ask(), looped.ask()
    _, future = await looped.raw.submitted.get()
    await looped.settle()
    assert looped.raw.submitted.empty()
    answered(future, output(1))
    await first
    _, future = await looped.raw.submitted.get()
    answered(future, output(1))
    await second
    await looped.check_idle(2, 0)
    looped.pool.shutdown()


async def test_no_more_images_wait_for_room_than_may():
    looped = Loop(PAGE)
    looped.models.replace(max_waiting=1)
    first = looped.ask()
    await looped.raw.submitted.get()
    second = looped.ask()
    await looped.settle()
    with pytest.raises(QueueFull, match="1 images wait already"):
        await looped.ask()
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    await looped.check_idle(0, 3)
    looped.pool.shutdown()


async def test_when_the_back_goes_everyone_is_told(looped):
    waiting = looped.ask()
    await looped.raw.submitted.get()
    looped.back.lost()
    with pytest.raises(ServerStopping, match="the server has ended"):
        await waiting
    with pytest.raises(ServerStopping, match="the server has ended"):
        await looped.ask()


async def test_when_a_front_goes_its_images_are_dropped_and_counted(looped):
    waiting, executed = looped.ask(), looped.ask()
    _, first = await looped.raw.submitted.get()
    _, second = await looped.raw.submitted.get()
    second.set_running_or_notify_cancel()
    looped.desk.lost()
    assert first.cancelled()
    answered(second, output(1))
    await looped.settle()
    counted = looped.metrics.statistics.of("m", 3)
    assert (counted.success.count, counted.fail.count, looped.models.handles) == (0, 2, 0)
    for task in (waiting, executed):
        task.cancel()
    await asyncio.gather(waiting, executed, return_exceptions=True)


def test_facts_are_plain_json():
    """A front of the same make reads them; nothing else can come through the link."""
    from pasarela_server.frontends.facts import FactsBook

    pipeline = DetectionPipeline("m", 3, lambda: None, None, DetectOptions(), ImageLimits())
    said = json.loads(FactsBook().of(pipeline, detector("shirt")).to_text())
    assert (said["model"], said["detector"]["names"], said["detector"]["layout"]) == (
        "m",
        ["shirt"],
        Layout.ANCHORS.value,
    )
