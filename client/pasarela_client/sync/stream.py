# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.
"""A stream of frames, carried out: what `Window` decides, done by tasks that meet at one condition.

One task pulls the source. One runs the calls: it opens them, reads the answers, and tries again when they break.
gRPC pulls the requests. The user takes the results. None of them refers to the stream that
the user holds, so dropping it ends them.
"""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc

from pasarela_client.codec import decode_frame, encode_frame, encode_request
from pasarela_client.errors import (
    DeadlineExpired,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    RequestCancelled,
    ServerFailure,
    ServerUnreachable,
)
from pasarela_client.frame import Frame, as_frame
from pasarela_client.health import CHECK, encode_check, is_serving
from pasarela_client.images import Channels, ImageSource, encode_image
from pasarela_client.options import DetectOptions
from pasarela_client.request_ids import new_request_id
from pasarela_client.scope import Scope
from pasarela_client.streaming.counts import StreamCounts
from pasarela_client.streaming.outage import Outage, passes
from pasarela_client.streaming.results import FrameResult
from pasarela_client.streaming.rules import StreamRules
from pasarela_client.streaming.window import Sending, Window
from pasarela_client.sync.concurrency import AnyIterable, Condition, StreamCall, Task, ask_service, iterate, off_loop
from pasarela_client.sync.endpoints import Endpoint, Endpoints
from pasarela_proto import detection_pb2 as pb

FAREWELL_S: Final = 1.0
"""How long a server may take to end a stream whose frames are all answered, before the call is cancelled."""

SOURCE_FAREWELL_S: Final = 0.1
"""How long leaving a stream waits for a source that is just giving a frame; one that blocks is left alone."""

HEALTH_S: Final = 5.0
"""How long a server may take to say whether it is healthy before a stream goes on there."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StreamRequests:
    """What all requests of a stream have in common."""

    model: str
    version: str
    options: DetectOptions
    channels: Channels
    """Of arrays that are no `Frame`."""

    def encode(self, sending: Sending, request_id: str) -> pb.StreamDetectRequest:
        """The request for one frame.

        Raises:
            InvalidRequest: The frame is no image that can be sent.
        """
        frame = sending.frame
        try:
            image = encode_image(frame.image, channels=frame.channels)
        except PasarelaError:
            raise
        except Exception as error:
            raise InvalidRequest(f"the image cannot be sent: {type(error).__name__}: {error}") from error
        request = encode_request(
            image,
            self.options,
            model=self.model,
            version=self.version,
            request_id=request_id,
            timeout_s=sending.remaining_s,
        )
        return encode_frame(sending.index, request)


class DetectionStream(Iterator[FrameResult]):
    """Results of a stream of frames, one for each, in their order. It is what `detect_stream` gives.

    An iterator: the first result that is asked for begins the stream. As a context manager it is left promptly at the
    end of the block: what is under way is cancelled, however long source or server would take.

    ::

        with detector.detect_stream(camera) as results:
            for result in results:
                ...
    """

    def __init__(
        self,
        frames: AnyIterable[Frame | ImageSource],
        rules: StreamRules,
        requests: StreamRequests,
        endpoints: Endpoints[Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepares a stream without beginning it.

        Args:
            frames: The source.
            rules: Window, policy, limits.
            requests: What is asked for each frame.
            endpoints: The servers.
            clock: Seconds that never go back.
            chance: From 0 to 1, drawn anew.

        Raises:
            TypeError: `frames` cannot be iterated.
        """
        self._flow = _Flow(frames, rules, requests, endpoints, clock, chance)
        self._dropped = weakref.finalize(self, self._flow.abandon)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FrameResult:
        """The next result; waits for it.

        Raises:
            PasarelaError: The stream as a whole broke. What concerns one frame comes out as its `FrameError`.
            BaseException: What the source raised, after the results of all frames before it.
        """
        result = self._flow.next_result()
        if result is None:
            raise StopIteration
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the stream: cancels what is under way and pulls nothing more. Frames without a result are lost."""
        self._dropped.detach()
        self._flow.leave()

    @property
    def counts(self) -> StreamCounts:
        """What became of the frames so far."""
        return self._flow.look(lambda window: window.counts)

    @property
    def lag_frames(self) -> int:
        """How many frames were pulled whose results were not taken yet."""
        return self._flow.look(lambda window: window.lag_frames)

    @property
    def lag_s(self) -> float:
        """How long ago the oldest frame without a taken result was pulled; 0 if there is none."""
        return self._flow.look(lambda window: window.lag_s)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._flow.requests.model}: {self.counts}>"


class _Flow:
    """Everything behind a stream."""

    def __init__(
        self,
        frames: AnyIterable[Frame | ImageSource],
        rules: StreamRules,
        requests: StreamRequests,
        endpoints: Endpoints[Any],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.requests = requests
        self.window = Window(
            rules, clock=clock, chance=chance, model=requests.model, stream_id=(stream_id := new_request_id())
        )
        self._stream_id = stream_id
        self._frames: Iterator[Frame | ImageSource] | None = iterate(frames)
        self._endpoints = endpoints
        self._outage = Outage(rules.reconnect_s, clock, chance)
        self._reconnect_s = rules.reconnect_s
        self._timeout_s = rules.timeout_s
        self._changed = Condition()
        self._scope = Scope()
        self._call: StreamCall | None = None
        self._silent = False
        self._tasks: list[Task] = []

    # The user.

    def look(self, function: Callable[[Window], T]) -> T:
        return self._changed.look(lambda: function(self.window))

    def next_result(self) -> FrameResult | None:
        with self._changed:
            self._start()
            while (result := self.window.take()) is None and not self.window.is_over:
                if self.window.is_silent and self._call is not None:
                    self._silent = True
                    self._call.cancel()
                    self._call = None
                self._changed.wait(None if self._silent else self.window.changes_in_s)
            self._changed.notify_all()
            error = self.window.take_error() if result is None else None
        if result is not None:
            return result
        self._say_farewell()
        if error is not None:
            raise error
        return None

    def leave(self) -> None:
        self._scope.give_up()
        with self._changed:
            self._frames = None
            self.window.abandon()
            self._changed.notify_all()
        self._say_farewell()

    def abandon(self) -> None:
        """Ends everything without waiting, from any thread: nobody holds the stream any more."""
        self._scope.give_up()
        self._changed.wake()
        for task in self._tasks:
            task.cancel()

    def _say_farewell(self) -> None:
        """Lets the server end the stream by itself, so that it does not count as cancelled there."""
        tasks, self._tasks = self._tasks, []
        for task, patience_s in zip(tasks, (FAREWELL_S, SOURCE_FAREWELL_S), strict=False):
            if not self._scope.over and task.join(patience_s):
                continue
            self._scope.give_up()
            task.cancel()
            task.join(patience_s)

    def _start(self) -> None:
        if self._frames is not None:
            frames, self._frames = self._frames, None
            call = self.window.begin_call()
            self._tasks = [
                Task("pasarela-answers", self._run_calls, call),
                Task("pasarela-frames", self._pull, frames),
            ]

    # The source.

    def _pull(self, frames: Iterator[Frame | ImageSource]) -> None:
        error: BaseException | None = None
        try:
            while self._has_room():
                frame = as_frame(next(frames), self.requests.channels)
                with self._changed:
                    self.window.add(frame)
                    self._changed.notify_all()
                del frame
        except StopIteration:
            pass
        except BaseException as raised:  # noqa: BLE001 - whatever the source raises belongs to who takes the results
            error = raised
        with self._changed:
            self.window.end(error)
            self._changed.notify_all()

    def _has_room(self) -> bool:
        with self._changed:
            while not self.window.has_room():
                if self._scope.over or self.window.has_ended:
                    return False
                self._changed.wait()
            return not self._scope.over

    # Requests.

    def next_request(self, call: int) -> pb.StreamDetectRequest | None:
        while True:
            with self._changed:
                while self._scope.over or (sending := self.window.send(call)) is None:
                    if self._scope.over or not self.window.may_send_more(call):
                        return None
                    self._changed.wait(self.window.pause_s)
                self._changed.notify_all()
            try:
                return off_loop(self.requests.encode, sending, self.window.request_id(sending.index))
            except PasarelaError as error:
                error.model = error.model or self.requests.model
                with self._changed:
                    self.window.refuse(sending, error)
                    self._changed.notify_all()

    # Calls.

    def _run_calls(self, call: int) -> None:
        try:
            error = self._answers_of_all(call)
        except PasarelaError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001 - nobody looks at a task's exceptions
            error = ServerFailure(f"the stream broke: {type(raised).__name__}: {raised}", model=self.requests.model)
            error.__cause__ = raised
        if error is not None:
            with self._changed:
                if not self._scope.over:
                    self.window.fail(error, at_once=not self._outage.reached)
                self._changed.notify_all()

    def _answers_of_all(self, call: int) -> PasarelaError | None:
        """Reads the answers of one call after the other; returns what ended the stream before its time."""
        endpoint = self._pick(())
        tried = {endpoint.index}
        while True:
            error = self._answers_of(endpoint, call)
            with self._changed:
                if self._scope.over or (error is None and self.window.is_answered):
                    return None
                if error is None and self.window.needs_another_call():
                    call = self.window.begin_call()
                    continue
            if error is None:
                return self._ended_early(endpoint)
            self._endpoints.report(endpoint, error)
            nobody_there = isinstance(error, ServerUnreachable) and not self._outage.reached
            if nobody_there and len(tried) < len(self._endpoints):
                endpoint = self._pick(tried)
                tried.add(endpoint.index)
                with self._changed:
                    self.window.take_back()
                    call = self.window.begin_call()
                continue
            found = self._find_again(error)
            if not isinstance(found, Endpoint):
                return found
            endpoint = found
            with self._changed:
                call = self.window.begin_call()
                self._changed.notify_all()

    def _answers_of(self, endpoint: Endpoint[Any], number: int) -> PasarelaError | None:
        """Reads the answers of one call; returns what broke it, None if the server ended it."""
        metadata = self._endpoints.metadata()
        call = StreamCall(endpoint.service.StreamDetect, _Requests(self, number), metadata=metadata)
        self._scope.hold(call)
        with self._changed:
            self._call, self._silent = call, False
        answered = False
        try:
            while (response := call.read()) is not None:
                self._take_answer(response, endpoint)
                if not answered:
                    answered = True
                    self._endpoints.report(endpoint)
        except grpc.RpcError as raised:
            if self._was_silent():
                return self._silence(endpoint, raised)
            return self._endpoints.convert(raised, endpoint, model=self.requests.model, request_id=self._stream_id)
        finally:
            call.cancel()
            self._scope.release(call)
        return None

    def _was_silent(self) -> bool:
        """Whether the call that is over was cancelled because the server owed an answer for too long."""
        with self._changed:
            self._call, silent, self._silent = None, self._silent, False
        return silent

    def _take_answer(self, response: pb.StreamDetectResponse, endpoint: Endpoint[Any]) -> None:
        index = response.frame_index
        with self._changed:
            awaited = self.window.awaited(index)
        result: FrameResult | None = None
        if awaited is not None:
            frame, sent_s = awaited
            result = decode_frame(
                response,
                frame,
                url=endpoint.url,
                model=self.requests.model,
                request_id=self.window.request_id(index),
                begun_ns=round(sent_s * 1e9),
            )
        with self._changed:
            self.window.answer(index, result)
            self._outage.answered()
            self._changed.notify_all()

    def _find_again(self, error: PasarelaError) -> Endpoint[Any] | PasarelaError | None:
        """A server that the stream can go on at; what ends the stream if there is none, None if it was left."""
        with self._changed:
            pause_s = self._outage.next_try_s() if passes(error) else None
            if pause_s is not None:
                self.window.break_call(error)
                self._changed.notify_all()
        while pause_s is not None:
            self._pause(pause_s)
            if self._scope.over:
                return None
            endpoint = self._pick(())
            unready = self._why_unready(endpoint)
            if unready is None:
                return endpoint
            error = unready
            pause_s = self._outage.next_try_s()
        return self._given_up(error)

    def _pause(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        with self._changed:
            while not self._scope.over and (left_s := until_s - time.monotonic()) > 0:
                self._changed.wait(left_s)

    def _why_unready(self, endpoint: Endpoint[Any]) -> PasarelaError | None:
        """Why frames sent there now would be lost; None if they would not, or if the server does not tell."""
        ask_health: Any = endpoint.channel.unary_unary(CHECK)
        for service in (self.requests.model, ""):
            try:
                answer = ask_service(
                    ask_health,
                    encode_check(service),
                    self._scope,
                    timeout=HEALTH_S,
                    metadata=self._endpoints.metadata(),
                )
            except grpc.RpcError as raised:
                error = self._endpoints.convert(raised, endpoint, model=self.requests.model)
                if passes(error) or isinstance(error, RequestCancelled):
                    self._endpoints.report(endpoint, error)
                    return error
                if not isinstance(error, ModelNotFound):
                    return None
            else:
                if is_serving(answer):
                    return None
                return ModelUnavailable(f"{endpoint.url} is not ready", model=self.requests.model)
        return None

    def _pick(self, tried: tuple[int, ...] | set[int]) -> Endpoint[Any]:
        return self._endpoints.pick(tried, model=self.requests.model, request_id=self._stream_id)

    def _ended_early(self, endpoint: Endpoint[Any]) -> ServerFailure:
        return ServerFailure(
            f"{endpoint.url} ended the stream; more frames were due",
            model=self.requests.model,
            request_id=self._stream_id,
        )

    def _silence(self, endpoint: Endpoint[Any], raised: grpc.RpcError) -> DeadlineExpired:
        silent = DeadlineExpired(
            f"no answer from {endpoint.url} to the frames that were sent in the time allowed "
            f"({self._timeout_s:g} s, timeout_s)",
            model=self.requests.model,
            request_id=self._stream_id,
        )
        silent.__cause__ = raised
        return silent

    def _given_up(self, error: PasarelaError) -> PasarelaError:
        if not passes(error) or not self._outage.reached:
            return error
        lost = ServerUnreachable(
            f"the connection broke and {self._reconnect_s:g} s of trying did not bring it back (reconnect_s): {error}",
            model=self.requests.model,
            status=error.status,
            request_id=self._stream_id,
        )
        lost.__cause__ = error
        return lost


class _Requests(Iterator[pb.StreamDetectRequest]):
    """The requests of one call, as gRPC wants them."""

    def __init__(self, flow: _Flow, call: int) -> None:
        self._flow = flow
        self._call = call

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pb.StreamDetectRequest:
        request = self._flow.next_request(self._call)
        if request is None:
            raise StopIteration
        return request
