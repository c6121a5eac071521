# ruff: noqa: N802 - methods are called as the protocol calls them
"""Detection servers that stop and start on one port, and answer each stream call as a test says."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from pasarela_client.health import CHECK
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceServicer, add_DetectionServiceServicer_to_server

Frames = Iterator[pb.StreamDetectRequest]
Answers = Iterator[pb.StreamDetectResponse]
StreamCall = Callable[[Frames, grpc.ServicerContext], Answers]

PATIENCE_S = 20.0
"""Longer than anything takes that works."""


def answer(frame: pb.StreamDetectRequest) -> pb.StreamDetectResponse:
    """One detection, named after the image's bytes."""
    found = pb.Detections(
        boxes=[1, 2, 3, 4], scores=[0.5], class_ids=[0], class_names=[frame.request.image.encoded.decode()]
    )
    response = pb.DetectResponse(
        model_name="garments", model_version="1", id=frame.request.id, detections=found, image_width=8, image_height=8
    )
    return pb.StreamDetectResponse(frame_index=frame.frame_index, response=response)


def refusal(
    frame: pb.StreamDetectRequest, status: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED
) -> pb.StreamDetectResponse:
    error = pb.FrameError(code=status.value[0], message="the queue is full")
    return pb.StreamDetectResponse(frame_index=frame.frame_index, error=error)


def answer_all(frames: Frames, context: grpc.ServicerContext) -> Answers:
    return map(answer, frames)


def never_answer(frames: Frames, context: grpc.ServicerContext) -> Answers:
    for _ in frames:
        pass
    yield from ()


class Calls(DetectionServiceServicer):
    """The nth call is answered by the nth function, later ones by the last."""

    def __init__(self, *calls: StreamCall) -> None:
        self.calls: list[StreamCall] = list(calls) or [answer_all]
        self.requests: list[pb.StreamDetectRequest] = []
        self.count = 0
        self.under_way = 0
        self.most_under_way = 0
        self.over = threading.Event()
        self._lock = threading.Lock()

    @property
    def images(self) -> list[str]:
        """What was sent, in the order of arrival, all calls together."""
        return [frame.request.image.encoded.decode() for frame in self.requests]

    def StreamDetect(self, request_iterator: Any, context: Any) -> Answers:
        context.add_callback(self.over.set)
        with self._lock:
            number, self.count = self.count, self.count + 1
            self.under_way = 0
        call = self.calls[min(number, len(self.calls) - 1)]
        for response in call(self._noted(request_iterator), context):
            with self._lock:
                self.under_way -= 1
            yield response

    def _noted(self, frames: Frames) -> Frames:
        for frame in frames:
            with self._lock:
                self.requests.append(frame)
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
            yield frame


class Port:
    """A server that can stop and start again where it was."""

    def __init__(self, service: Calls, health: Callable[[], bytes] | None = None) -> None:
        self.service = service
        self._health = health
        self._port = 0
        self._server: grpc.Server | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        server = grpc.server(ThreadPoolExecutor(8))
        add_DetectionServiceServicer_to_server(self.service, server)
        if self._health is not None:
            server.add_generic_rpc_handlers((_Health(self._health),))
        for _ in itertools.count():
            try:
                self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
            except RuntimeError:
                continue  # the one before has not let go of it yet
            break
        server.start()
        self._server = server

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None


class _Health(grpc.GenericRpcHandler):
    def __init__(self, health: Callable[[], bytes]) -> None:
        self._health = health

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method != CHECK:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._health())
