# ruff: noqa: N802 - methods are called as the protocol calls them
"""A detection service that says what a test tells it to, behind a real socket."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from pasarela_client import Detections
from pasarela_client.aio.detector import AsyncDetector
from pasarela_client.sync.detector import Detector
from pasarela_proto import detection_pb2 as pb
from pasarela_proto import inference_pb2, inference_pb2_grpc
from pasarela_proto.detection_pb2_grpc import DetectionServiceServicer, add_DetectionServiceServicer_to_server
from tests.driven import Driven

Context = grpc.ServicerContext
Frames = Iterator[pb.StreamDetectRequest]


def answer(*, name: str = "skirt", score: float = 0.9, model: str = "garments") -> pb.DetectResponse:
    return pb.DetectResponse(
        model_name=model,
        model_version="3",
        detections=pb.Detections(boxes=[10, 20, 110, 220], scores=[score], class_ids=[8], class_names=[name]),
        image_width=640,
        image_height=480,
        timings=pb.Timings(preprocess_ns=1_000_000, infer_ns=2_000_000, batch_size=4),
    )


class FakeDetectionService(DetectionServiceServicer):
    """Answers everything with one skirt until a test replaces `detect` or `stream`."""

    def __init__(self) -> None:
        self.requests: list[pb.DetectRequest] = []
        self.stream_over = threading.Event()
        self.detect: Callable[[pb.DetectRequest, Context], pb.DetectResponse] = lambda request, context: answer()
        self.stream: Callable[[Frames, Context], Iterator[pb.StreamDetectResponse]] = self._answer_all

    def Detect(self, request: pb.DetectRequest, context: Any) -> pb.DetectResponse:
        self.requests.append(request)
        return self.detect(request, context)

    def StreamDetect(self, request_iterator: Any, context: Any) -> Iterator[pb.StreamDetectResponse]:
        context.add_callback(self.stream_over.set)
        return self.stream(self._record(request_iterator), context)

    def _record(self, frames: Frames) -> Frames:
        for frame in frames:
            self.requests.append(frame.request)
            yield frame

    def _answer_all(self, frames: Frames, context: Context) -> Iterator[pb.StreamDetectResponse]:
        for frame in frames:
            yield pb.StreamDetectResponse(frame_index=frame.frame_index, response=answer())


class FakeInferenceService(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Knows two models; only one of them is ready."""

    def RepositoryIndex(self, request: Any, context: Any) -> inference_pb2.RepositoryIndexResponse:
        entry = inference_pb2.RepositoryIndexResponse.ModelIndex
        return inference_pb2.RepositoryIndexResponse(
            models=[
                entry(name="skirts", version="10", state="READY"),
                entry(name="skirts", version="9", state="UNAVAILABLE", reason="unloaded"),
                entry(name="broken", state="UNAVAILABLE", reason="config.pbtxt:3:7: no such field"),
                entry(name="waiting"),
            ]
        )

    def ModelMetadata(self, request: Any, context: Any) -> inference_pb2.ModelMetadataResponse:
        if request.name not in {"skirts", "finder"}:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no model '{request.name}'")
        tensor = inference_pb2.ModelMetadataResponse.TensorMetadata
        return inference_pb2.ModelMetadataResponse(
            name=request.name,
            versions=["10"],
            platform="openvino",
            inputs=[tensor(name="images", datatype="FP32", shape=[-1, 3, 320, 320])],
        )

    def ModelConfig(self, request: Any, context: Any) -> inference_pb2.ModelConfigResponse:
        parameters = {
            "skirts": {"metadata": "{'names': {0: \"women's skirt\", 1: 'top'}, 'stride': 32}"},
            "finder": {"model": "skirts"},
        }[request.name]
        response = inference_pb2.ModelConfigResponse()
        for key, text in parameters.items():
            response.config.parameters[key].string_value = text
        return response


class FakeServer:
    def __init__(self) -> None:
        self.service = FakeDetectionService()
        self._server = grpc.server(ThreadPoolExecutor(8))
        add_DetectionServiceServicer_to_server(self.service, self._server)
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(FakeInferenceService(), self._server)  # type: ignore[abstract]
        self.url = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()

    def die(self) -> None:
        """Ends all calls, without waiting for them: a call may say so itself."""
        self._server.stop(0)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.stop()


@pytest.fixture
def service(server: FakeServer) -> FakeDetectionService:
    return server.service


@pytest.fixture
def unused_url() -> Iterator[str]:
    """An address at which nothing listens, and nothing will: it is taken."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


@pytest.fixture
def make_answer() -> Callable[..., pb.DetectResponse]:
    return answer


@pytest.fixture
def found() -> Detections:
    """Three detections on 640x480, the last two of one class."""
    return Detections(
        boxes=np.array([[10, 20, 110, 220], [300, 100, 500, 400], [0, 300, 90, 480]], np.float32),
        scores=np.array([0.9, 0.75, 0.25], np.float32),
        class_ids=np.array([8, 7, 7], np.int32),
        names=np.array(["skirt", "trousers", "trousers"]),
        image_size=(640, 480),
        model="garments",
        version="3",
    )


@pytest.fixture(params=["threads", "tasks"])
def either_client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`with either_client(url, ...) as detector:` is either client, its methods called the same way."""
    if request.param == "threads":
        return Detector
    return functools.partial(Driven, AsyncDetector)
