"""The calls of a stream: requests go out, answers come in, and what breaks is tried again elsewhere."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection
from typing import Any, Final, Self

import grpc

from pasarela_client.aio.concurrency import StreamCall, ask_service, off_loop
from pasarela_client.aio.endpoints import AsyncEndpoints, Endpoint
from pasarela_client.aio.meeting import AsyncMeeting
from pasarela_client.codec import decode_frame
from pasarela_client.errors import (
    DeadlineExpired,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    RequestCancelled,
    ServerFailure,
    ServerUnreachable,
    named,
)
from pasarela_client.frame import Frame
from pasarela_client.health import CHECK, encode_check, is_serving
from pasarela_client.scope import Scope
from pasarela_client.streaming.outage import Outage, passes
from pasarela_client.streaming.requests import StreamRequests
from pasarela_client.streaming.results import FrameResult, lost
from pasarela_client.streaming.rules import StreamRules
from pasarela_client.streaming.window import Window
from pasarela_client.tracing import CallSpan, begin_span, current_trace
from pasarela_proto import detection_pb2 as pb

HEALTH_S: Final = 5.0
"""How long a server may take to say whether it is healthy before a stream goes on there."""


class AsyncStreamCalls:
    """Carries out what the window of a stream wants sent, and tells it what is answered.

    One task runs the calls, gRPC pulls their requests. Both end when the scope is given up.
    """

    def __init__(
        self,
        window: Window,
        meeting: AsyncMeeting,
        scope: Scope,
        outage: Outage,
        rules: StreamRules,
        requests: StreamRequests,
        endpoints: AsyncEndpoints[Any],
        stream_id: str,
    ) -> None:
        """Takes its part in a stream.

        Args:
            window: Touched inside the meeting only.
            meeting: Of those who carry out this stream.
            scope: Holds the calls; when it is over, so is the stream.
            outage: Of this stream.
            rules: Of this stream.
            requests: What is asked for each frame.
            endpoints: The servers.
            stream_id: How the stream is called, for errors.
        """
        self._window = window
        self._meeting = meeting
        self._scope = scope
        self._outage = outage
        self._rules = rules
        self._requests = requests
        self._endpoints = endpoints
        self._stream_id = stream_id
        self._trace = current_trace()
        self._call: StreamCall | None = None
        self._silent = False

    @property
    def is_giving_up(self) -> bool:
        """Whether a call was cancelled for its silence and has not ended yet. Ask inside the meeting."""
        return self._silent

    def give_up_if_silent(self) -> None:
        """Cancels a call whose answers are overdue. For callers inside the meeting."""
        if self._call is not None and self._window.is_silent:
            self._silent = True
            self._call.cancel()
            self._call = None

    async def next_request(self, call: int) -> pb.StreamDetectRequest | None:
        """The next request of a call; waits for it. None at the end of the call."""
        while True:
            async with self._meeting:
                while self._scope.over or (sending := self._window.send(call)) is None:
                    if self._scope.over or not self._window.may_send_more(call):
                        return None
                    await self._meeting.work.wait(self._window.pause_s)
            request_id = self._window.request_id(sending.index)
            try:
                if self._requests.is_at_hand(sending):
                    return self._requests.encode(sending, request_id)
                return await off_loop(self._requests.encode, sending, request_id)
            except PasarelaError as error:
                error.model = error.model or self._requests.model
                async with self._meeting:
                    self._window.refuse(sending, error)
                    self._meeting.notify_all()

    async def run(self, call: int) -> None:
        """Reads answers until the stream is over, and tells the window why if that is before its time.

        Args:
            call: The number of the first call, which the window knows of.
        """
        try:
            error = await self._answers_of_all(call)
        except PasarelaError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001 - nobody looks at a task's exceptions
            error = self._broken_by(raised)
        if error is not None:
            async with self._meeting:
                if not self._scope.over:
                    self._window.fail(error, at_once=not self._outage.reached)
                self._meeting.notify_all()

    async def _answers_of_all(self, call: int) -> PasarelaError | None:
        """Reads the answers of one call after the other; returns what ended the stream before its time."""
        endpoint = self._pick(())
        tried = {endpoint.index}
        while True:
            error = await self._answers_of(endpoint, call)
            async with self._meeting:
                if self._scope.over or (error is None and self._window.is_answered):
                    return None
                if error is None and self._window.needs_another_call:
                    call = self._window.begin_call()
                    continue
            if error is None:
                return self._ended_early(endpoint)
            self._endpoints.report(endpoint, error)
            nobody_there = isinstance(error, ServerUnreachable) and not self._outage.reached
            if nobody_there and len(tried) < len(self._endpoints):
                endpoint = self._pick(tried)
                tried.add(endpoint.index)
                async with self._meeting:
                    self._window.take_back()
                    call = self._window.begin_call()
                    self._meeting.notify_all()
                continue
            found = await self._find_again(error)
            if not isinstance(found, Endpoint):
                return found
            endpoint = found
            async with self._meeting:
                call = self._window.begin_call()
                self._meeting.notify_all()

    async def _answers_of(self, endpoint: Endpoint[Any], number: int) -> PasarelaError | None:
        """Reads the answers of one call; returns what broke it, None if the server ended it."""
        with begin_span(
            "StreamDetect",
            url=endpoint.url,
            model=self._requests.model,
            request_id=self._stream_id,
            parent=self._trace,
        ) as span:
            error = await self._answers_within(span, endpoint, number)
            span.end(error)
        return error

    async def _answers_within(self, span: CallSpan, endpoint: Endpoint[Any], number: int) -> PasarelaError | None:
        with named(self._requests.model, self._stream_id):
            metadata = await self._endpoints.metadata(span.metadata)
        call = StreamCall(endpoint.service.StreamDetect, AsyncRequests(self, number), metadata=metadata)
        self._scope.hold(call)
        async with self._meeting:
            self._call, self._silent = call, False
        answered = False
        try:
            while (response := await call.read()) is not None:
                await self._take_answer(response, endpoint)
                if not answered:
                    answered = True
                    self._endpoints.report(endpoint)
        except grpc.RpcError as raised:
            if await self._was_silent():
                return self._silence(endpoint, raised)
            return self._endpoints.convert(
                raised, endpoint, model=self._requests.model, request_id=self._stream_id, scope=self._scope
            )
        finally:
            call.cancel()
            self._scope.release(call)
        return None

    async def _was_silent(self) -> bool:
        """Whether the call that is over was cancelled because the server owed an answer for too long."""
        async with self._meeting:
            self._call, silent, self._silent = None, self._silent, False
        return silent

    async def _take_answer(self, response: pb.StreamDetectResponse, endpoint: Endpoint[Any]) -> None:
        index = response.frame_index
        async with self._meeting:
            awaited = self._window.awaited(index)
            self._window.answer(index, None if awaited is None else self._decode(response, *awaited, endpoint.url))
            self._outage.answered()
            self._meeting.results.notify_all()
            if self._window.waiting:
                self._meeting.work.notify_all()
            if self._window.has_room():
                self._meeting.room.notify_all()

    def _decode(self, response: pb.StreamDetectResponse, frame: Frame, sent_s: float, url: str) -> FrameResult:
        return decode_frame(
            response,
            frame,
            url=url,
            model=self._requests.model,
            request_id=self._window.request_id(response.frame_index),
            begun_ns=round(sent_s * 1e9),
        )

    async def _find_again(self, error: PasarelaError) -> Endpoint[Any] | PasarelaError | None:
        """A server that the stream can go on at; what ends the stream if there is none, None if it was left."""
        async with self._meeting:
            pause_s = self._outage.next_try_s() if passes(error) else None
            if pause_s is not None:
                self._window.break_call(error)
                self._meeting.notify_all()
        while pause_s is not None:
            await self._pause(pause_s)
            if self._scope.over:
                return None
            endpoint = self._pick(())
            unready = await self._why_unready(endpoint)
            if unready is None:
                return endpoint
            error = unready
            pause_s = self._outage.next_try_s()
        return self._given_up(error)

    async def _pause(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        async with self._meeting:
            while not self._scope.over and (left_s := until_s - time.monotonic()) > 0:
                await self._meeting.work.wait(left_s)

    async def _why_unready(self, endpoint: Endpoint[Any]) -> PasarelaError | None:
        """Why frames sent there now would be lost; None if they would not, or if the server does not tell."""
        ask_health: Any = endpoint.channel.unary_unary(CHECK)
        for service in (self._requests.model, ""):
            try:
                answer = await ask_service(
                    ask_health,
                    encode_check(service),
                    self._scope,
                    timeout=HEALTH_S,
                    metadata=await self._endpoints.metadata(),
                )
            except grpc.RpcError as raised:
                error = self._endpoints.convert(raised, endpoint, model=self._requests.model, scope=self._scope)
                if passes(error) or isinstance(error, RequestCancelled):
                    self._endpoints.report(endpoint, error)
                    return error
                if not isinstance(error, ModelNotFound):
                    return None
            else:
                if is_serving(answer):
                    return None
                return ModelUnavailable(
                    f"{endpoint.url} is not ready", model=self._requests.model, status=grpc.StatusCode.UNAVAILABLE
                )
        return None

    def _pick(self, tried: Collection[int]) -> Endpoint[Any]:
        return self._endpoints.pick(tried, model=self._requests.model, request_id=self._stream_id)

    def _broken_by(self, raised: Exception) -> PasarelaError:
        """The error for what neither a server nor gRPC says."""
        error: PasarelaError
        if self._endpoints.closed:  # gRPC's words for a channel that was closed just before the call
            error = self._endpoints.was_closed(self._requests.model, self._stream_id)
        else:
            error = ServerFailure(
                f"the stream broke: {type(raised).__name__}: {raised}",
                model=self._requests.model,
                request_id=self._stream_id,
            )
        error.__cause__ = raised
        return error

    def _ended_early(self, endpoint: Endpoint[Any]) -> ServerFailure:
        return ServerFailure(
            f"{endpoint.url} ended the stream; more frames were due",
            model=self._requests.model,
            request_id=self._stream_id,
        )

    def _silence(self, endpoint: Endpoint[Any], raised: grpc.RpcError) -> DeadlineExpired:
        silent = DeadlineExpired(
            f"no answer from {endpoint.url} to the frames that were sent in the time allowed "
            f"({self._rules.timeout_s:g} s, timeout_s)",
            model=self._requests.model,
            request_id=self._stream_id,
        )
        silent.__cause__ = raised
        return silent

    def _given_up(self, error: PasarelaError) -> PasarelaError:
        if not passes(error) or not self._outage.reached or not self._rules.reconnect_s:
            return error
        seconds = f"{self._rules.reconnect_s:g} s"
        return lost(
            f"the connection broke and {seconds} of trying did not bring it back (reconnect_s)",
            error,
            model=self._requests.model,
            request_id=self._stream_id,
        )


class AsyncRequests(AsyncIterator[pb.StreamDetectRequest]):
    """The requests of one call, as gRPC wants them."""

    def __init__(self, calls: AsyncStreamCalls, call: int) -> None:
        self._calls = calls
        self._call = call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> pb.StreamDetectRequest:
        request = await self._calls.next_request(self._call)
        if request is None:
            raise StopAsyncIteration
        return request
