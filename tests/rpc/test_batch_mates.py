"""Cancelling one request of a batch leaves its batch-mates their answers: real manager and scheduler, fake backend."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc
from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.observability.metrics import Metrics
from pasarela_server.repository.manager import ModelManager
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection import DetectionService
from pasarela_server.rpc.health import HealthService
from pasarela_server.rpc.inference import InferenceService
from pasarela_server.rpc.server import build_server, listen
from pasarela_server.rpc.status import FailureTable
from pasarela_server.tensor import DataType, TensorSpec

SPEC = ArtefactSpec(
    inputs=(TensorSpec("x", DataType.FP32, (-1, 1)),), outputs=(TensorSpec("y", DataType.FP32, (-1, 1)),), batched=True
)
CONFIG = """
backend: "gated"
max_batch_size: 8
instance_group { kind: KIND_CPU count: 1 }
dynamic_batching { }
model_warmup { name: "once" inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 zero_data: true } } }
"""


class GatedBackend:
    """Loader, backend and session in one: doubles its input, one batch for each permit."""

    name = "gated"
    artefact = "model.gated"
    spec = SPEC
    description = "gated"

    def __init__(self):
        self.permits = threading.Semaphore(1)  # one for the warm-up
        self.began = []

    def load(self, artefact, options):
        return self

    def session(self):
        return self

    def infer(self, inputs):
        self.began.append(inputs["x"].ravel().tolist())
        self.permits.acquire()
        return {"y": inputs["x"] * 2}

    def close(self):
        pass


async def until(condition):
    while not condition():  # noqa: ASYNC110 - the server's state has no event
        await asyncio.sleep(0.001)


@pytest.fixture
async def gated(tmp_path):
    backend = GatedBackend()
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / backend.artefact).touch()
    (tmp_path / "m" / "config.pbtxt").write_text(CONFIG)
    pool = ThreadPoolExecutor(1)
    models = ModelManager(tmp_path, {"gated": backend}, pool, cpu_threads=1)
    await asyncio.to_thread(models.load_all)
    assert models.ready(), models.index()
    backend.began.clear()
    calls, metrics, failures = OpenCalls(), Metrics(), FailureTable()
    server = build_server(
        InferenceService(models, calls, metrics, "1"),
        DetectionService(models, calls, metrics, failures),
        HealthService(),
        failures,
        2**20,
    )
    port = listen(server, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)

        def infer(value, **parameters):
            request = pb.ModelInferRequest(
                model_name="m",
                inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 1]}],
                raw_input_contents=[np.float32([value]).tobytes()],
                parameters=parameters,
            )
            return stub.ModelInfer(request)

        yield backend, calls, infer
    backend.permits.release(100)
    await server.stop(None)
    await asyncio.to_thread(models.close)
    pool.shutdown()


async def answer(call):
    response = await call
    return np.frombuffer(response.raw_output_contents[0], np.float32).tolist()


async def queued_behind_a_running_one(gated, values):
    """Calls that wait while the only instance is busy."""
    backend, calls, infer = gated
    running = asyncio.ensure_future(answer(infer(0)))
    await until(lambda: len(backend.began) == 1)
    waiting = []
    for value in values:
        waiting.append(infer(value))
        await until(lambda: len(calls) == 1 + len(waiting))
    return running, waiting


async def test_one_that_leaves_while_it_waits_costs_no_slot(gated):
    backend, calls, _ = gated
    running, waiting = await queued_behind_a_running_one(gated, [1, 2, 3])

    waiting[1].cancel()
    await until(lambda: len(calls) == 3)
    backend.permits.release(2)

    assert await running == [0]
    assert await answer(waiting[0]) == [2]
    assert await answer(waiting[2]) == [6]
    assert backend.began == [[0], [1, 3]]


async def test_one_that_leaves_while_its_batch_runs_harms_nobody(gated):
    backend, calls, infer = gated
    running, waiting = await queued_behind_a_running_one(gated, [1, 2, 3])
    backend.permits.release(1)
    assert await running == [0]
    await until(lambda: len(backend.began) == 2)
    assert backend.began[1] == [1, 2, 3]

    waiting[1].cancel()
    await until(lambda: len(calls) == 2)
    backend.permits.release(2)

    assert await answer(waiting[0]) == [2]
    assert await answer(waiting[2]) == [6]
    assert await answer(infer(5)) == [10], "the instance lives on"


async def test_one_whose_time_is_over_is_told_and_costs_no_slot(gated):
    backend, calls, infer = gated
    running, _ = await queued_behind_a_running_one(gated, [])
    late = infer(1, timeout={"int64_param": 100_000})
    await until(lambda: len(calls) == 2 or late.done())
    over_s = time.monotonic() + 0.1
    await until(lambda: time.monotonic() > over_s)
    backend.permits.release(1)

    with pytest.raises(grpc.aio.AioRpcError) as expired:
        await late
    assert expired.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "'m'" in expired.value.details()
    assert await running == [0]
    assert backend.began == [[0]]
