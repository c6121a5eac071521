# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.
"""A stream of frames, carried out: what `Window` decides, done by tasks that meet at one condition.

One task pulls the source. One runs the calls: it opens them, reads the answers, and tries again when they break. gRPC
pulls the requests. The user takes the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from pasarela_client.frame import Frame, as_frame
from pasarela_client.images import ImageSource
from pasarela_client.request_ids import new_request_id
from pasarela_client.scope import Scope
from pasarela_client.streaming.outage import Outage
from pasarela_client.streaming.requests import StreamRequests
from pasarela_client.streaming.results import FrameResult
from pasarela_client.streaming.rules import StreamRules
from pasarela_client.streaming.window import Window
from pasarela_client.sync.concurrency import AnyIterable, Task, iterate
from pasarela_client.sync.endpoints import Endpoints
from pasarela_client.sync.meeting import Meeting
from pasarela_client.sync.stream_calls import StreamCalls

FAREWELL_S: Final = 1.0
"""How long a server may take to end a stream whose frames are all answered, before the call is cancelled."""

SOURCE_FAREWELL_S: Final = 0.1
"""How long leaving a stream waits for a source that is just giving a frame; one that blocks is left alone."""

T = TypeVar("T")


class Flow:
    """Everything behind a stream. Nothing here refers to what the user holds."""

    def __init__(
        self,
        frames: AnyIterable[Frame | ImageSource],
        rules: StreamRules,
        requests: StreamRequests,
        endpoints: Endpoints[Any],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """Prepares the stream; arguments are as of `DetectionStream`."""
        stream_id = new_request_id()
        self._requests = requests
        self._frames: Iterator[Frame | ImageSource] | None = iterate(frames)
        self._window = Window(rules, clock=clock, chance=chance, model=requests.model, stream_id=stream_id)
        self._meeting = Meeting()
        self._scope = Scope()
        outage = Outage(rules.reconnect_s, clock, chance)
        self._calls = StreamCalls(
            self._window, self._meeting, self._scope, outage, rules, requests, endpoints, stream_id
        )
        self._tasks: list[Task] = []

    def look(self, function: Callable[[Window], T]) -> T:
        """What the function says of the window."""
        return self._meeting.results.look(lambda: function(self._window))

    def next_result(self) -> FrameResult | None:
        """The next result, None at the end; raises what ended the stream."""
        with self._meeting:
            self._start()
            while (result := self._window.take()) is None and not self._window.is_over:
                self._calls.give_up_if_silent()
                self._meeting.results.wait(None if self._calls.is_giving_up else self._window.changes_in_s)
            self._meeting.room.notify_all()
            if self._window.waiting:
                self._meeting.work.notify_all()
            error = self._window.take_error() if result is None else None
        if result is not None:
            return result
        self._say_farewell()
        if error is not None:
            raise error
        return None

    def leave(self) -> None:
        """Ends everything; harmless when it is over."""
        self._scope.give_up()
        with self._meeting:
            self._frames = None
            self._window.abandon()
            self._meeting.notify_all()
        self._say_farewell()

    def abandon(self) -> None:
        """Ends everything without waiting, from any thread: nobody holds the stream any more."""
        self._scope.give_up()
        self._meeting.wake()
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
            call = self._window.begin_call()
            self._tasks = [
                Task("pasarela-answers", self._calls.run, call),
                Task("pasarela-frames", self._pull, frames),
            ]

    def _pull(self, frames: Iterator[Frame | ImageSource]) -> None:
        try:
            while self._has_room():
                frame = as_frame(next(frames), self._requests.channels)
                with self._meeting:
                    self._window.add(frame)
                    self._meeting.work.notify_all()
                del frame
        except StopIteration:
            self._end_of_source(None)
        except BaseException as raised:  # noqa: BLE001 - whatever the source raises belongs to who takes the results
            self._end_of_source(raised)
        else:
            self._end_of_source(None)

    def _end_of_source(self, error: BaseException | None) -> None:
        with self._meeting:
            self._window.end(None if self._scope.over else error)
            self._meeting.notify_all()

    def _has_room(self) -> bool:
        with self._meeting:
            while not self._window.has_room():
                if self._scope.over or self._window.has_ended:
                    return False
                self._meeting.room.wait()
            return not self._scope.over
