"""Inferences on a stream: answered at the same time, delivered in the order in which they came."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import ServerStopping
from pasarela_server.observability.record import NOBODY, Caller
from pasarela_server.rpc.messages import ReceivedRequest, Reply
from pasarela_server.rpc.ordered import ReadingStopped, map_in_order
from pasarela_server.rpc.status import Failure, FailureTable
from pasarela_server.rpc.wire import Contents

REQUESTS_IN_FLIGHT = 32
"""Requests of one stream that are read and not yet answered: enough to fill a batch, few enough to stay in memory."""

GRPC_ERROR = "triton_grpc_error"
"""Client metadata: 'true' makes the first failed request end the stream with its status."""

_FINAL = "triton_final_response"

Answer = Callable[[ReceivedRequest, float | None, pb.ModelInferResponse, Caller], Awaitable[list[Contents]]]
Context = grpc.aio.ServicerContext[Any, Any]


class InferStreams:
    """The streaming side of inference. Used from the event loop only."""

    def __init__(
        self,
        answer: Answer,
        wait_stopping: Callable[[], Awaitable[None]],
        failures: FailureTable,
        requests_in_flight: int = REQUESTS_IN_FLIGHT,
    ) -> None:
        """Builds what all streams share.

        Args:
            answer: Fills the reply of one request within so many seconds, the version first, for the case of failure;
                and returns its raw contents.
            wait_stopping: Returns when the server takes no new requests.
            failures: What clients are told of errors.
            requests_in_flight: Requests of one stream that are read and not yet delivered.
        """
        self._answer = answer
        self._wait_stopping = wait_stopping
        self._failures = failures
        self._requests_in_flight = requests_in_flight

    async def serve(
        self, requests: AsyncIterator[ReceivedRequest], context: Context, caller: Caller = NOBODY
    ) -> AsyncGenerator[Reply, None]:
        """Answers a stream. When the client goes away all its requests are cancelled.

        Each reply is the only one, and so the final one, of its request. A failed request is answered in its place and
        the stream goes on, unless the client asked for statuses. The call's deadline holds for each of its requests. A
        stopping server reads no further request, answers those that it has read, and ends the stream.

        Raises:
            ServerStopping: Requests were left unread.
        """
        remaining_s = context.time_remaining()
        deadline_s = None if remaining_s is None else time.monotonic() + remaining_s
        wants_status = _wants_status(context)

        async def reply(request: ReceivedRequest) -> Reply:
            answer = pb.ModelStreamInferResponse()
            raw: list[Contents] = []
            try:
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                raw = await self._answer(request, left_s, answer.infer_response, caller)
            except Exception as error:
                failure = self._failures.failure(error, request.id)
                if wants_status:
                    raise _StreamFailed(failure) from error
                answer = _refusal(request.message, failure, answer.infer_response.model_version)
            answer.infer_response.parameters[_FINAL].bool_param = True
            return Reply(answer, raw)

        replies = map_in_order(requests, reply, self._requests_in_flight, self._wait_stopping)
        try:
            async with contextlib.aclosing(replies):
                async for answer in replies:
                    yield answer
        except _StreamFailed as failed:
            await context.abort(failed.failure.code, failed.failure.message, failed.failure.metadata)
        except ReadingStopped as stopped:
            raise ServerStopping(
                "the server is stopping and reads no more requests; send the rest to another one"
            ) from stopped


class _StreamFailed(Exception):
    """A request failed whose client wants the stream to end with its status."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _wants_status(context: Context) -> bool:
    metadata = context.invocation_metadata() or ()
    return any(key == GRPC_ERROR and value in {"true", b"true"} for key, value in metadata)


def _refusal(request: pb.ModelInferRequest, failure: Failure, version: str) -> pb.ModelStreamInferResponse:
    """Which request failed, and why."""
    return pb.ModelStreamInferResponse(
        error_message=failure.message,
        infer_response=pb.ModelInferResponse(
            id=request.id, model_name=request.model_name, model_version=version or request.model_version
        ),
    )
