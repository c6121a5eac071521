"""The tensor protocol over a socket, on fake models."""

import asyncio
import logging

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import BackendFailure, DeadlineExpired, ModelUnavailable, QueueFull, ServerStopping
from pasarela_server.observability.exposition import Exposition


def request(**changes):
    fields = {
        "model_name": "m",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2]}],
        "raw_input_contents": [np.float32([1, 2, 3, 4]).tobytes()],
    }
    return pb.ModelInferRequest(**(fields | changes))


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_infer_echoes_id_and_actual_version(served):
    response = await served.inference.ModelInfer(request(id="r7"))

    assert (response.model_name, response.model_version, response.id) == ("m", "3", "r7")
    assert response.raw_output_contents[0] == np.float32([1, 2, 3, 4]).tobytes()
    assert served.models.handles == 0
    text = Exposition(served.metrics).text().decode()
    assert 'nv_inference_request_success{model="m",version="3"} 1.0' in text
    assert 'nv_inference_count{model="m",version="3"} 2.0' in text
    assert 'nv_inference_exec_count{model="m",version="3"} 1.0' in text, "one execution, shared with others"


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (ModelUnavailable("loading"), "UNAVAILABLE", "OTHER"),
        (QueueFull("full"), "UNAVAILABLE", "REJECTED"),
        (DeadlineExpired("late"), "DEADLINE_EXCEEDED", "REJECTED"),
        (ServerStopping("bye"), "UNAVAILABLE", "REJECTED"),
        (BackendFailure("model 'm' failed"), "INTERNAL", "BACKEND"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
async def test_errors_of_a_servable_become_statuses(served, error, code, reason):
    async def infer(request):
        raise error

    served.servable.infer = infer
    failure = await refusal(served.inference.ModelInfer(request()))

    assert (failure.code().name, failure.details()) == (code, str(error))
    assert served.models.handles == 0
    counted = f'nv_inference_request_failure{{model="m",reason="{reason}",version="3"}} 1.0'
    assert counted in Exposition(served.metrics).text().decode()


async def test_a_fault_of_the_server_is_logged_and_not_told(served, caplog):
    async def infer(request):
        raise ZeroDivisionError("/srv/secret")

    served.servable.infer = infer
    failure = await refusal(served.inference.ModelInfer(request(id="r9")))

    assert failure.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in failure.details()
    assert "r9" in failure.details()
    assert "ZeroDivisionError: /srv/secret" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        pytest.param({"model_name": "other"}, "NOT_FOUND", "no model 'other'", id="unknown model"),
        pytest.param({"model_version": "9"}, "NOT_FOUND", "version 9", id="unknown version"),
        pytest.param({"model_version": "0"}, "INVALID_ARGUMENT", "positive integer", id="no version"),
        pytest.param({"raw_input_contents": [b""]}, "INVALID_ARGUMENT", "expected 16 bytes", id="wrong length"),
    ],
)
async def test_bad_requests(served, changes, code, text):
    failure = await refusal(served.inference.ModelInfer(request(**changes)))
    assert failure.code().name == code
    assert text in failure.details()


async def test_a_client_that_leaves_cancels_its_request(served):
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def infer(request):
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    served.servable.infer = infer
    call = served.inference.ModelInfer(request())
    waiting = asyncio.ensure_future(call.code())
    await started.wait()
    call.cancel()
    await asyncio.wait_for(cancelled.wait(), 10)
    await served.calls.wait_idle()

    assert await waiting is grpc.StatusCode.CANCELLED
    assert served.models.handles == 0
    assert 'reason="CANCELED",version="3"} 1.0' in Exposition(served.metrics).text().decode()


@pytest.mark.parametrize(
    "asked",
    [
        {},  # reason: nobody asked
        {"timings": {"bool_param": False}},  # reason: somebody asked not to
    ],
)
async def test_timings_are_not_told_to_others(served, asked):
    response = await served.inference.ModelInfer(request(parameters=asked))
    assert dict(response.parameters) == {}


@pytest.mark.parametrize("streamed", [False, True], ids=["ModelInfer", "ModelStreamInfer"])
async def test_timings_are_told_to_those_who_ask(served, streamed):
    asking = request(parameters={"timings": {"bool_param": True}})
    if streamed:
        (reply,) = [reply async for reply in served.inference.ModelStreamInfer(iter([asking]))]
        response = reply.infer_response
        response.parameters.pop("triton_final_response")
    else:
        response = await served.inference.ModelInfer(asking)

    told = {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in response.parameters.items()}
    assert 0 < told.pop("encode_ns") < told.pop("total_ns")
    stages = ("receive", "decode_queue", "decode", "letterbox", "batch", "split", "nms_queue", "nms")
    assert told == {f"{stage}_ns": 0 for stage in stages} | {
        "queue_ns": 1000,
        "infer_ns": 2000,
        "batch_size": 4,
        "close_reason": "full",
        "instance": 1,
    }


async def test_the_calls_deadline_reaches_the_servable(served):
    deadlines = []
    infer = served.servable.infer

    async def watch(request):
        deadlines.append(request.deadline_monotonic_s)
        return await infer(request)

    served.servable.infer = watch
    await served.inference.ModelInfer(request())
    await served.inference.ModelInfer(request(), timeout=30)

    assert deadlines[0] is None
    assert deadlines[1] is not None


async def test_a_stopping_server_refuses_requests_and_is_not_ready(served):
    served.calls.stop()

    failure = await refusal(served.inference.ModelInfer(request()))
    ready = await served.inference.ServerReady(pb.ServerReadyRequest())
    live = await served.inference.ServerLive(pb.ServerLiveRequest())

    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert "stopping" in failure.details()
    assert (ready.ready, live.live) == (False, True)


async def test_readiness(served):
    async def ready(name, version=""):
        return (await served.inference.ModelReady(pb.ModelReadyRequest(name=name, version=version))).ready

    assert (await served.inference.ServerReady(pb.ServerReadyRequest())).ready
    assert await ready("m")
    assert await ready("m", "3")
    assert not await ready("m", "2")
    assert not await ready("other"), "tritonclient's is_model_ready wants False here, not an error"
    assert (await refusal(ready("m", "0"))).code() is grpc.StatusCode.INVALID_ARGUMENT

    served.models.is_ready = False
    assert not (await served.inference.ServerReady(pb.ServerReadyRequest())).ready


async def test_metadata(served):
    server = await served.inference.ServerMetadata(pb.ServerMetadataRequest())
    model = await served.inference.ModelMetadata(pb.ModelMetadataRequest(name="m"))

    assert (server.name, server.version) == ("pasarela", "1.2.3")
    assert {"logging", "statistics", "trace"} <= set(server.extensions), "perf_analyzer calls what is listed"
    assert (model.name, list(model.versions), model.platform) == ("m", ["3"], "fake")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in model.inputs] == [("x", "FP32", [-1, 2])]
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in model.outputs] == [("x", "FP32", [-1, 2])]
    unknown = await refusal(served.inference.ModelMetadata(pb.ModelMetadataRequest(name="other")))
    assert unknown.code() is grpc.StatusCode.NOT_FOUND


async def test_config(served):
    config = (await served.inference.ModelConfig(pb.ModelConfigRequest(name="m", version="3"))).config

    assert (config.name, config.max_batch_size, list(config.input[0].dims)) == ("m", 4, [2])
    assert config.parameters["metadata"].string_value == "{'names': {0: 'shirt'}}"
    assert "version_labels" not in config.parameters


async def test_config_names_the_labels(served):
    served.models.labels = lambda name: {"stable": 3, "canary": 4} if name == "m" else {}

    config = (await served.inference.ModelConfig(pb.ModelConfigRequest(name="m"))).config

    assert config.parameters["version_labels"].string_value == "canary=4, stable=3"


async def test_repository_index(served):
    async def index(**fields):
        response = await served.inference.RepositoryIndex(pb.RepositoryIndexRequest(**fields))
        return [(model.name, model.version, model.state, model.reason) for model in response.models]

    assert await index() == [
        ("broken", "", "UNAVAILABLE", "line 3, column 5: a typo"),
        ("m", "2", "LOADING", ""),
        ("m", "3", "READY", ""),
    ]
    assert await index(ready=True) == [("m", "3", "READY", "")]
    assert (await refusal(index(repository_name="r"))).code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("method", "text"),
    [
        pytest.param("CudaSharedMemoryStatus", "CudaSharedMemoryStatus is not offered", id="no device"),
        pytest.param("CudaSharedMemoryRegister", "CudaSharedMemoryRegister is not offered", id="no device, register"),
        pytest.param("RepositoryModelLoad", "loads and unloads no models", id="nobody controls the repository"),
        pytest.param("RepositoryModelUnload", "loads and unloads no models", id="nobody controls it, unload"),
    ],
)
async def test_what_this_server_does_not_offer(served, method, text):
    failure = await refusal(getattr(served.inference, method)(getattr(pb, f"{method}Request")()))
    assert failure.code() is grpc.StatusCode.UNIMPLEMENTED
    assert text in failure.details()


async def test_messages_beyond_the_limit_are_refused(served):
    failure = await refusal(served.inference.ModelInfer(request(raw_input_contents=[bytes(2**20 + 1)])))
    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
