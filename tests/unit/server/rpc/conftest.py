"""A real gRPC server on a free port, with fake models behind it: fast, and every event is under control."""

import contextlib
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from pasarela_proto import detection_pb2_grpc, inference_pb2_grpc
from pasarela_server.config.model import ModelConfig
from pasarela_server.detection.detections import Detections
from pasarela_server.errors import ModelNotFound
from pasarela_server.observability.logging import LogControl
from pasarela_server.observability.metrics import Metrics
from pasarela_server.observability.tracing import Tracer
from pasarela_server.repository.readiness import IndexEntry
from pasarela_server.repository.result import DetectResult
from pasarela_server.repository.servable import Handle, State
from pasarela_server.request import InferResponse, Timings
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection import DetectionService
from pasarela_server.rpc.health import HealthService
from pasarela_server.rpc.inference import InferenceService
from pasarela_server.rpc.server import build_server, listen
from pasarela_server.rpc.settings import SettingsCalls
from pasarela_server.rpc.status import FailureTable
from pasarela_server.tensor import DataType, TensorSpec

NAMES = ("shirt", "skirt")
TIMINGS = Timings(
    decode_queue_ns=10,
    decode_ns=1,
    letterbox_ns=2,
    queue_ns=20,
    batch_ns=4,
    infer_ns=30,
    split_ns=5,
    nms_queue_ns=40,
    nms_ns=6,
    batch_size=1,
    close_reason="idle",
    instance=2,
)
"""Of the fake servable's detections."""


class FakeServable:
    """Version 3 of model 'm': echoes tensors, finds one skirt in any image. Tests replace `infer` and `detect`."""

    version = 3
    description = "fake"
    config = ModelConfig(
        name="m",
        backend="fake",
        inputs=(TensorSpec("x", DataType.FP32, (-1, 2)),),
        outputs=(TensorSpec("x", DataType.FP32, (-1, 2)),),
        max_batch_size=4,
        parameters={"metadata": "{'names': {0: 'shirt'}}"},
    )

    def __init__(self):
        self.images = []
        self.overrides = []
        self.deadlines = []

    def labels(self, output):
        return NAMES

    async def infer(self, request):
        timings = Timings(queue_ns=1000, infer_ns=2000, batch_size=4, close_reason="full", instance=1)
        return InferResponse("m", self.version, request.inputs, request.id, timings)

    async def detect(self, image, overrides, deadline_monotonic_s=None):
        self.images.append(image)
        self.overrides.append(overrides)
        self.deadlines.append(deadline_monotonic_s)
        return self.result()

    def result(self):
        found = Detections(np.float32([[1, 2, 3, 4]]), np.float32([0.5]), np.int32([1]))
        return DetectResult("m", self.version, found, NAMES, 20, 30, TIMINGS)

    def stop(self, *, drain):
        pass

    def close(self):
        pass


class FakeModels:
    """A repository of one model, whose handles are counted."""

    def __init__(self):
        self.servable = FakeServable()
        self.handles = 0
        self.is_ready = True

    def acquire(self, name, version=None):
        if name != "m" or version not in (None, 3):
            raise ModelNotFound(f"there is no model '{name}' version {version}")
        self.handles += 1
        return Handle(self.servable, self._release)

    def _release(self):
        self.handles -= 1

    def index(self):
        return (
            IndexEntry("broken", None, State.UNAVAILABLE, "line 3, column 5: a typo"),
            IndexEntry("m", 2, State.LOADING),
            IndexEntry("m", 3, State.READY),
        )

    def ready(self):
        return self.is_ready

    def model_ready(self, name, version=None):
        return self.is_ready and name == "m" and version in (None, 3)

    def ready_versions(self, name):
        return (3,)

    def labels(self, name):
        return {}

    def config(self, name, version=None):
        with self.acquire(name, version) as handle:
            return handle.servable.config


@contextlib.asynccontextmanager
async def serve(trace_file=None):
    models, calls, failures, health = FakeModels(), OpenCalls(), FailureTable(), HealthService()
    tracer, log = Tracer(trace_file), LogControl(apply=lambda settings: None)
    metrics = Metrics(listeners=[tracer.request])
    server = build_server(
        InferenceService(
            models, calls, metrics, "1.2.3", failures=failures, settings=SettingsCalls(models, log, tracer)
        ),
        DetectionService(models, calls, metrics, failures, frames_in_flight=3),
        health,
        failures,
        max_message_bytes=2**20,
    )
    port = listen(server, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield SimpleNamespace(
            models=models,
            servable=models.servable,
            calls=calls,
            metrics=metrics,
            log=log,
            tracer=tracer,
            health=health,
            server=server,
            port=port,
            channel=channel,
            inference=inference_pb2_grpc.GRPCInferenceServiceStub(channel),
            detection=detection_pb2_grpc.DetectionServiceStub(channel),
        )
    await server.stop(None)
    tracer.close()


@pytest.fixture
async def served(tmp_path):
    """A running server, its fakes, and stubs that call it."""
    async with serve(tmp_path / "trace.json") as running:
        yield running
