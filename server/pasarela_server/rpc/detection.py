"""Typed detection: `pasarela.v1.DetectionService` over the same servables as the tensor protocol."""

from __future__ import annotations

import abc
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from typing_extensions import override

from pasarela_proto import detection_pb2 as pb
from pasarela_proto import detection_pb2_grpc
from pasarela_server.errors import ServerStopping
from pasarela_server.observability.metrics import Metrics
from pasarela_server.observability.record import NOBODY, Caller
from pasarela_server.repository.result import DetectResult
from pasarela_server.request import Timings
from pasarela_server.rpc.callers import Callers, untraced
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection_codec import (
    decode_deadline_s,
    decode_image_source,
    decode_overrides,
    encode_result,
)
from pasarela_server.rpc.frames import completed
from pasarela_server.rpc.models import Models
from pasarela_server.rpc.ordered import ReadingStopped, map_in_order
from pasarela_server.rpc.status import FailureTable
from pasarela_server.rpc.timings import encode_typed
from pasarela_server.rpc.version import parse_version

FRAMES_IN_FLIGHT = 8
"""Frames of one stream that are read and not yet answered: enough to keep several instances busy."""

_SERVICE: str = pb.DESCRIPTOR.services_by_name["DetectionService"].full_name
_DETECT, _STREAM_DETECT = f"{_SERVICE}/Detect", f"{_SERVICE}/StreamDetect"

Context = grpc.aio.ServicerContext[Any, Any]


class ImageService(detection_pb2_grpc.DetectionServiceServicer, abc.ABC):
    """Images in, named boxes out: the calls and the streams. How one image is answered, its subclass says."""

    def __init__(
        self,
        calls: OpenCalls,
        failures: FailureTable,
        frames_in_flight: int = FRAMES_IN_FLIGHT,
        callers: Callers = untraced,
    ) -> None:
        self._calls = calls
        self._callers = callers
        self._failures = failures
        self._frames_in_flight = frames_in_flight

    @abc.abstractmethod
    async def answer(
        self, request: pb.DetectRequest, remaining_s: float | None, caller: Caller = NOBODY
    ) -> pb.DetectResponse:
        """Answers one image within so many seconds. Cancelling the task that awaits it gives the image up."""

    @override
    async def Detect(self, request: pb.DetectRequest, context: Context) -> pb.DetectResponse:
        """One image. When the client goes away this call is cancelled, and its queue entry with it."""
        with self._calls.admitted():
            return await self.answer(request, context.time_remaining(), self._callers(_DETECT, context))

    @override
    async def StreamDetect(
        self, request_iterator: AsyncIterator[pb.StreamDetectRequest], context: Context
    ) -> AsyncIterator[pb.StreamDetectResponse]:
        """Frames in, detections out, in order. When the client goes away all its frames are cancelled.

        A stopping server reads no further frame, answers those that it has read, and ends the stream with
        ServerStopping.
        """
        with self._calls.streaming(_STREAM_DETECT):
            answer = functools.partial(self._answer_frame, self._callers(_STREAM_DETECT, context))
            responses = map_in_order(
                completed(request_iterator), answer, self._frames_in_flight, self._calls.wait_stopping
            )
            try:
                async with contextlib.aclosing(responses):
                    async for response in responses:
                        yield response
            except ReadingStopped as stopped:
                raise ServerStopping(
                    "the server is stopping and reads no more frames; send the rest to another one"
                ) from stopped

    async def _answer_frame(self, caller: Caller, frame: pb.StreamDetectRequest) -> pb.StreamDetectResponse:
        try:
            response = await self.answer(frame.request, None, caller)
        except Exception as error:  # noqa: BLE001 - a frame's failure is its answer: the stream goes on
            failure = self._failures.failure(error, frame.request.id or f"frame {frame.frame_index}")
            told = pb.FrameError(code=failure.number, message=failure.message, kind=failure.kind)
            return pb.StreamDetectResponse(frame_index=frame.frame_index, error=told)
        return pb.StreamDetectResponse(frame_index=frame.frame_index, response=response)


class DetectionService(ImageService):
    """Answers by the models of this process."""

    def __init__(
        self,
        models: Models,
        calls: OpenCalls,
        metrics: Metrics,
        failures: FailureTable,
        frames_in_flight: int = FRAMES_IN_FLIGHT,
        callers: Callers = untraced,
    ) -> None:
        super().__init__(calls, failures, frames_in_flight, callers)
        self._models = models
        self._metrics = metrics

    @override
    async def answer(
        self, request: pb.DetectRequest, remaining_s: float | None, caller: Caller = NOBODY
    ) -> pb.DetectResponse:
        received_ns = time.monotonic_ns()
        name = request.model_name
        with self._models.acquire(name, parse_version(name, request.model_version)) as handle:
            version = handle.servable.version
            with self._metrics.request(name, version, request.id, caller) as outcome:
                result = await handle.servable.detect(
                    decode_image_source(f"model '{name}'", request.image),
                    decode_overrides(request),
                    decode_deadline_s(request, received_ns, remaining_s),
                )
                outcome.found = result.found
                reply, outcome.timings = encode_reply(result, request.id, received_ns)
            return reply


def encode_reply(result: DetectResult, request_id: str, received_ns: int) -> tuple[pb.DetectResponse, Timings]:
    """The message of a result, and all of its timings.

    Args:
        result: What was found.
        request_id: As the client named it.
        received_ns: When the request came, on the clock of `time.monotonic_ns`.
    """
    executed_ns = time.monotonic_ns()
    reply = encode_result(result, request_id)
    timings = result.timings.answered(received_ns, executed_ns, time.monotonic_ns())
    reply.timings.MergeFrom(encode_typed(timings))
    return reply, timings.answered(received_ns, executed_ns, time.monotonic_ns())
