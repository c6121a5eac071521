"""Streams of the tensor protocol over a socket, on fake models."""

import asyncio

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import BackendFailure, InvalidRequest
from pasarela_server.rpc.stream import REQUESTS_IN_FLIGHT

STATUS = (("triton_grpc_error", "true"),)


def request(request_id, **changes):
    fields = {
        "model_name": "m",
        "id": request_id,
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}],
        "raw_input_contents": [np.float32([1, 2]).tobytes()],
    }
    return pb.ModelInferRequest(**(fields | changes))


async def settled(condition):
    """Waits until a condition holds, leaving time to gRPC's own thread; the test's time limit is the bound."""
    while not condition():  # noqa: ASYNC110 - the server's state has no event
        await asyncio.sleep(0.001)


async def read(call):
    """All replies, and the error that ended them."""
    replies = []
    try:
        async for reply in call:
            replies.append(reply)  # noqa: PERF401 - an exception may follow
    except grpc.aio.AioRpcError as error:
        return replies, error
    return replies, None


def final(replies):
    return [reply.infer_response.parameters["triton_final_response"].bool_param for reply in replies]


async def test_replies_come_in_order_whatever_finishes_first(served):
    gates = {name: asyncio.Event() for name in "abc"}
    answered = []
    infer = served.servable.infer

    async def gated(request):
        await gates[request.id].wait()
        answered.append(request.id)
        return await infer(request)

    served.servable.infer = gated
    call = served.inference.ModelStreamInfer(request(name) for name in "abc")
    for name in "cab":
        gates[name].set()
        await settled(lambda name=name: name in answered)
    replies, error = await read(call)

    assert answered == ["c", "a", "b"]
    assert [reply.infer_response.id for reply in replies] == ["a", "b", "c"]
    assert [reply.infer_response.model_version for reply in replies] == ["3"] * 3
    assert replies[0].infer_response.raw_output_contents[0] == np.float32([1, 2]).tobytes()
    assert final(replies) == [True] * 3
    assert error is None
    assert served.models.handles == 0


FAULTY = [
    request("good", parameters={"triton_enable_empty_final_response": {"bool_param": True}}),
    request("unknown", model_name="other"),
    request("no version", model_version="0"),
    request("short", raw_input_contents=[b"1234"]),
    request("failing", model_version="3"),
    request("secret"),
    request("last"),
]


@pytest.fixture
def faulty(served):
    """Makes some requests fail inside."""
    infer = served.servable.infer
    errors = {"failing": BackendFailure("model 'm' failed"), "secret": ZeroDivisionError("/srv/secret")}

    async def failing(request):
        if request.id in errors:
            raise errors[request.id]
        return await infer(request)

    served.servable.infer = failing
    return served


async def test_errors_are_answered_in_their_place_and_the_stream_goes_on(faulty, caplog):
    replies, error = await read(faulty.inference.ModelStreamInfer(iter(FAULTY)))

    assert error is None
    assert [reply.infer_response.id for reply in replies] == [request.id for request in FAULTY]
    assert final(replies) == [True] * 7
    told = {reply.infer_response.id: reply for reply in replies if reply.error_message}
    assert {name: reply.error_message for name, reply in told.items() if name in {"unknown", "failing"}} == {
        "unknown": "there is no model 'other' version None",
        "failing": "model 'm' failed",
    }
    assert "positive integer" in told["no version"].error_message
    assert "expected 8 bytes" in told["short"].error_message
    assert "secret" in told["secret"].error_message, "the request's id"
    assert "/srv" not in told["secret"].error_message
    assert "/srv/secret" in caplog.text
    named = [
        (name, reply.infer_response.model_name, reply.infer_response.model_version) for name, reply in told.items()
    ]
    assert named == [
        ("unknown", "other", ""),
        ("no version", "m", "0"),
        ("short", "m", ""),
        ("failing", "m", "3"),
        ("secret", "m", "3"),
    ]
    assert not any(reply.infer_response.outputs for reply in told.values())
    assert faulty.models.handles == 0


@pytest.mark.parametrize(
    ("start", "code", "words"),
    [
        pytest.param(1, "NOT_FOUND", "'other'", id="refused at the door"),
        pytest.param(3, "INVALID_ARGUMENT", "expected 8 bytes", id="refused by the codec"),
        pytest.param(4, "INTERNAL", "model 'm' failed", id="failed inside"),
    ],
)
async def test_the_first_error_ends_a_stream_that_asks_for_statuses(faulty, start, code, words):
    async def requests():
        for each in (FAULTY[0], FAULTY[-1], FAULTY[start]):
            yield each
        await asyncio.Event().wait()  # a client that writes on into an ended stream sees its own failure instead

    replies, error = await read(faulty.inference.ModelStreamInfer(requests(), metadata=STATUS))

    assert [reply.infer_response.id for reply in replies] == ["good", "last"], "what came before is delivered"
    assert error.code().name == code
    assert words in error.details()
    await faulty.calls.wait_idle()
    assert faulty.models.handles == 0


async def test_any_other_value_of_that_metadata_asks_for_nothing(faulty):
    metadata = (("triton_grpc_error", "false"),)
    replies, error = await read(faulty.inference.ModelStreamInfer(iter(FAULTY[1:3]), metadata=metadata))
    assert (len(replies), error) == (2, None)


async def test_the_streams_deadline_holds_for_each_request(served):
    deadlines = []
    infer = served.servable.infer

    async def watch(request):
        deadlines.append(request.deadline_monotonic_s)
        return await infer(request)

    served.servable.infer = watch
    await read(served.inference.ModelStreamInfer(iter([request("a"), request("b")])))
    await read(served.inference.ModelStreamInfer(iter([request("c"), request("d")]), timeout=30))

    assert deadlines[:2] == [None, None]
    assert deadlines[2] == pytest.approx(deadlines[3], abs=1e-3), "one moment for the whole stream"


async def test_reads_ahead_no_further_than_its_window(served):
    gate, started = asyncio.Event(), []
    infer = served.servable.infer

    async def gated(request):
        started.append(request.id)
        await gate.wait()
        return await infer(request)

    served.servable.infer = gated
    count = REQUESTS_IN_FLIGHT + 3
    call = served.inference.ModelStreamInfer(request(str(index)) for index in range(count))
    reading = asyncio.ensure_future(read(call))
    await settled(lambda: len(started) == REQUESTS_IN_FLIGHT)
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(started) == REQUESTS_IN_FLIGHT
    gate.set()

    replies, error = await reading
    assert ([reply.infer_response.id for reply in replies], error) == ([str(index) for index in range(count)], None)


async def test_a_client_that_leaves_mid_stream_leaves_nothing_behind(served):
    running = 0

    async def infer(request):
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    served.servable.infer = infer
    call = served.inference.ModelStreamInfer(request(str(index)) for index in range(3))
    await settled(lambda: running == 3)
    call.cancel()
    await served.calls.wait_idle()

    assert running == 0
    assert served.models.handles == 0
    await settled(lambda: not [task for task in asyncio.all_tasks() if "map_in_order" in repr(task)])


async def test_a_stopping_server_answers_what_it_has_read_and_ends_the_stream(served):
    gate, started = asyncio.Event(), []
    infer = served.servable.infer

    async def gated(request):
        started.append(request.id)
        await gate.wait()
        if request.id == "bad":
            raise InvalidRequest("no")
        return await infer(request)

    served.servable.infer = gated

    async def two_then_silence():
        yield request("good")
        yield request("bad")
        await asyncio.Event().wait()

    call = served.inference.ModelStreamInfer(two_then_silence())
    await settled(lambda: len(started) == 2)
    served.calls.stop()
    gate.set()
    replies, error = await read(call)

    assert [(reply.infer_response.id, reply.error_message) for reply in replies] == [("good", ""), ("bad", "no")]
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "stopping" in error.details()
    await served.calls.wait_idle()
    refused = await read(served.inference.ModelStreamInfer(iter([request("late")])))
    assert refused[1].code() is grpc.StatusCode.UNAVAILABLE
