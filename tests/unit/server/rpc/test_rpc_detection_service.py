"""Typed detection over a socket, on fake models: one image, and streams."""

import asyncio
import time

import grpc
import numpy as np
import pytest

from pasarela_proto import detection_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.observability.exposition import Exposition
from pasarela_server.repository.result import DetectOverrides


def detect_request(**changes):
    return pb.DetectRequest(**({"model_name": "m", "id": "r7", "image": {"encoded": b"jpeg"}} | changes))


def frame(index, **changes):
    return pb.StreamDetectRequest(frame_index=index, request=detect_request(**changes))


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def settled(condition):
    """Waits until a condition holds, leaving time to gRPC's own thread; the test's time limit is the bound."""
    while not condition():  # noqa: ASYNC110 - the server's state has no event
        await asyncio.sleep(0.001)


def handler_tasks():
    return [task for task in asyncio.all_tasks() if "DetectionService" in repr(task) or "map_in_order" in repr(task)]


async def test_one_image(served):
    response = await served.detection.Detect(
        detect_request(model_version="3", options={"confidence": 0.0, "class_names": ["skirt"], "class_ids": [0]})
    )

    assert (response.model_name, response.model_version, response.id) == ("m", "3", "r7")
    found = response.detections
    assert (list(found.boxes), list(found.scores)) == ([1, 2, 3, 4], [0.5])
    assert (list(found.class_ids), list(found.class_names)) == ([1], ["skirt"])
    assert (response.image_width, response.image_height) == (30, 20)
    told = response.timings
    assert (told.decode_queue_ns, told.decode_ns, told.letterbox_ns, told.queue_ns, told.batch_ns) == (10, 1, 2, 20, 4)
    assert (told.infer_ns, told.split_ns, told.nms_queue_ns, told.nms_ns) == (30, 5, 40, 6)
    assert (told.batch_size, told.close_reason, told.instance) == (1, "idle", 2)
    assert (told.preprocess_ns, told.postprocess_ns) == (7, 11), "what clients of before read still adds up"
    assert 0 < told.encode_ns < told.total_ns
    assert served.servable.images == [b"jpeg"]
    assert served.servable.overrides == [DetectOverrides(confidence=0.0, class_names=("skirt",), class_ids=(0,))]
    assert served.models.handles == 0
    assert 'nv_inference_request_success{model="m",version="3"} 1.0' in Exposition(served.metrics).text().decode()


async def test_the_calls_deadline_reaches_the_detector(served):
    await served.detection.Detect(detect_request())
    await served.detection.Detect(detect_request(), timeout=30)
    assert served.servable.deadlines[0] is None
    assert served.servable.deadlines[1] is not None


@pytest.mark.parametrize(
    ("timeout_us", "call_s", "least_s", "most_s"),
    [
        (5_000_000, None, 0, 5),  # reason: a request's own limit, where the call has none
        (5_000_000, 60, 0, 5),  # reason: the sooner of both counts
        (60_000_000, 20, 5, 20),  # reason: the sooner of both counts, the call's this time
        (2**64 - 1, None, 1e6, 1e14),  # reason: longer than anybody waits is no error
    ],
)
async def test_a_requests_own_time_limit_reaches_the_detector(served, timeout_us, call_s, least_s, most_s):
    begun_s = time.monotonic()
    await served.detection.Detect(detect_request(timeout_us=timeout_us), timeout=call_s)
    assert begun_s + least_s < served.servable.deadlines[0] <= time.monotonic() + most_s


async def test_priority_and_time_limit_belong_to_one_frame(served):
    frames = [frame(0, priority=2, timeout_us=9_000_000), frame(1)]
    assert len([answer async for answer in served.detection.StreamDetect(iter(frames))]) == 2
    assert [overrides.priority for overrides in served.servable.overrides] == [2, 0]
    assert [deadline is None for deadline in served.servable.deadlines] == [False, True]


@pytest.mark.parametrize(("channels", "expected"), [("RGB", [[1, 2, 3], [4, 5, 6]]), ("BGR", [[3, 2, 1], [6, 5, 4]])])
async def test_raw_pixels_arrive_as_rgb(served, channels, expected):
    raw = {"height": 1, "width": 2, "channels": channels, "pixels": bytes([1, 2, 3, 4, 5, 6])}
    await served.detection.Detect(detect_request(image={"raw": raw}))
    np.testing.assert_array_equal(served.servable.images[0], [expected])


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        pytest.param({"image": None}, "INVALID_ARGUMENT", "expected an image", id="no image field"),
        pytest.param({"image": {}}, "INVALID_ARGUMENT", "expected an image", id="no source"),
        pytest.param(
            {"image": {"raw": {"height": 2, "width": 2, "pixels": bytes(11)}}},
            "INVALID_ARGUMENT",
            "height 2, width 2 (so 12 bytes) with 11 bytes",
            id="pixels too short",
        ),
        pytest.param({"image": {"raw": {}}}, "INVALID_ARGUMENT", "at least one pixel", id="no pixels"),
        pytest.param(
            {"image": {"raw": {"height": 2**32 - 1, "width": 2**32 - 1, "pixels": b"x"}}},
            "INVALID_ARGUMENT",
            "with 1 bytes",
            id="product beyond 64 bits",
        ),
        pytest.param({"model_name": "other"}, "NOT_FOUND", "'other'", id="unknown model"),
        pytest.param({"model_version": "0"}, "INVALID_ARGUMENT", "positive integer", id="no version"),
    ],
)
async def test_bad_requests(served, changes, code, text):
    failure = await refusal(served.detection.Detect(detect_request(**changes)))
    assert failure.code().name == code
    assert text in failure.details()
    assert served.models.handles == 0


async def test_stream_answers_in_order_whatever_finishes_first(served):
    gates = {index: asyncio.Event() for index in range(3)}

    async def detect(image, overrides, deadline):
        await gates[image[0]].wait()
        served.servable.images.append(image)
        return served.servable.result()

    served.servable.detect = detect
    call = served.detection.StreamDetect(frame(10 + index, image={"encoded": bytes([index])}) for index in range(3))
    for index in (2, 0, 1):
        gates[index].set()
        await settled(lambda index=index: bytes([index]) in served.servable.images)

    assert [(response.frame_index, response.WhichOneof("result")) async for response in call] == [
        (10, "response"), (11, "response"), (12, "response"),
    ]  # fmt: skip
    assert served.servable.images == [b"\x02", b"\x00", b"\x01"]


async def test_a_failed_frame_is_answered_in_its_place(served, caplog):
    results = [None, InvalidRequest("no JPEG"), ZeroDivisionError("/srv/secret"), None]

    async def detect(image, overrides, deadline):
        error = results[image[0]]
        if error is not None:
            raise error
        return served.servable.result()

    served.servable.detect = detect
    frames = [frame(index, image={"encoded": bytes([index])}) for index in range(4)]
    frames.insert(1, frame(9, model_name="other"))
    call = served.detection.StreamDetect(iter(frames))
    responses = [response async for response in call]

    assert [response.frame_index for response in responses] == [0, 9, 1, 2, 3]
    codes = [response.error.code for response in responses]
    assert codes == [0, grpc.StatusCode.NOT_FOUND.value[0], grpc.StatusCode.INVALID_ARGUMENT.value[0], 13, 0]
    assert (responses[2].error.message, responses[2].error.kind) == ("no JPEG", "InvalidRequest")
    assert "secret" not in responses[3].error.message
    assert not responses[3].error.kind
    assert "/srv/secret" in caplog.text
    assert await call.code() is grpc.StatusCode.OK
    assert served.models.handles == 0


async def test_later_frames_inherit(served):
    frames = [
        frame(0, model_version="3", options={"confidence": 0.5}),
        pb.StreamDetectRequest(frame_index=1, request={"image": {"encoded": b"b"}}),
        pb.StreamDetectRequest(frame_index=2, request={"image": {"encoded": b"c"}, "options": {"iou": 0.25}}),
        pb.StreamDetectRequest(frame_index=3, request={"image": {"encoded": b"d"}}),
        pb.StreamDetectRequest(frame_index=4),
    ]
    responses = [response async for response in served.detection.StreamDetect(iter(frames))]

    assert [response.WhichOneof("result") for response in responses] == ["response"] * 4 + ["error"]
    assert "expected an image" in responses[4].error.message
    assert served.servable.overrides == [
        DetectOverrides(confidence=0.5),
        DetectOverrides(confidence=0.5),
        DetectOverrides(iou=0.25),
        DetectOverrides(iou=0.25),
    ]


async def test_first_frame_without_a_model(served):
    call = served.detection.StreamDetect(iter([pb.StreamDetectRequest(request={"image": {"encoded": b"b"}})]))
    (response,) = [response async for response in call]
    assert response.error.code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_a_client_that_leaves_mid_stream_leaves_nothing_behind(served):
    running = 0

    async def detect(image, overrides, deadline):
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    served.servable.detect = detect

    async def endless():
        for index in range(100):
            yield frame(index)

    call = served.detection.StreamDetect(endless())
    await settled(lambda: running == 3)
    assert handler_tasks()
    call.cancel()
    await served.calls.wait_idle()

    assert running == 0
    assert served.models.handles == 0
    await settled(lambda: not handler_tasks())


async def test_reads_ahead_no_further_than_its_window(served):
    gate, started = asyncio.Event(), 0

    async def detect(image, overrides, deadline):
        nonlocal started
        started += 1
        await gate.wait()
        return served.servable.result()

    served.servable.detect = detect
    call = served.detection.StreamDetect(frame(index) for index in range(8))
    await settled(lambda: started == 3)
    # A unary call on the same connection arrives after the frames that were sent before it.
    unary = asyncio.ensure_future(served.detection.Detect(detect_request()))
    await settled(lambda: started > 3)
    for _ in range(200):
        await asyncio.sleep(0)
    assert started == 4
    gate.set()

    assert [response.frame_index async for response in call] == list(range(8))
    await unary


async def test_a_stopping_server_answers_what_it_has_read_and_ends_the_stream(served):
    gate, started = asyncio.Event(), 0

    async def detect(image, overrides, deadline):
        nonlocal started
        started += 1
        await gate.wait()
        return served.servable.result()

    served.servable.detect = detect

    async def two_then_silence():
        yield frame(0)
        yield frame(1)
        await asyncio.Event().wait()

    call = served.detection.StreamDetect(two_then_silence())
    await settled(lambda: started == 2)
    served.calls.stop()
    gate.set()
    got = []
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async for response in call:
            got.append(response.frame_index)  # noqa: PERF401 - an exception follows

    assert got == [0, 1]
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "stopping" in ended.value.details()
    await served.calls.wait_idle()
    assert (await refusal(served.detection.Detect(detect_request()))).code() is grpc.StatusCode.UNAVAILABLE
