"""One stream of frames to `StreamDetect`, paced by a clock or by its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gevent
import gevent.queue
import grpc

from loadtest.access import Way
from loadtest.records import Loop, RequestRecord
from loadtest.users.outcomes import CUT_OFF, DONE, Ending, ending_of
from loadtest.users.sending import Sending
from loadtest.users.server_timings import typed_timings
from pasarela_client.errors import ServerUnreachable, from_rpc_error, from_status
from pasarela_client.timings import NOT_TOLD, Timings
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub

_STATUS: Final = {status.value[0]: status for status in grpc.StatusCode}
_UNANSWERED: Final = Ending("lost", "", "the stream ended before the answer came")


@dataclass(frozen=True, slots=True)
class Pace:
    """How frames are sent and answers read."""

    window: int
    """Frames under way, at most."""
    frames: int
    """In one stream."""
    fps: float | None = None
    """Frames per second; None: a frame follows each answer."""
    deadline_s: float | None = None
    """After it was due a frame is late."""
    tell_deadline: bool = False
    read_pause_s: float = 0.0
    """Between reading one answer and the next."""
    timeout_s: float = 30.0
    """The last answers may take so long."""


@dataclass(slots=True)
class _Frame:
    index: int
    due_s: float
    sent_s: float | None = None


class FrameStream:
    """One stream, from its first frame to its last answer. Used once."""

    def __init__(
        self, sending: Sending, way: Way, requests: Sequence[pb.DetectRequest], pace: Pace, *, user: str, first: int
    ) -> None:
        """Sends nothing yet.

        Args:
            sending: The run.
            way: On which connection.
            requests: The images, sent in turn.
            pace: How.
            user: The kind of user, for records.
            first: With which image to begin.
        """
        self._sending = sending
        self._way = way
        self._images = requests
        self._pace = pace
        self._user = user
        self._first = first
        self._model = requests[0].model_name
        self._loop: Loop = "open" if pace.fps else "closed"
        self._number = next(sending.streams)
        self._queue: gevent.queue.Queue[_Frame | None] = gevent.queue.Queue()
        self._waiting: dict[int, _Frame] = {}
        self._next = 0
        self._call: Any = None
        self._giving_up: gevent.Greenlet | None = None
        self._opened_s = 0.0

    @property
    def due(self) -> int:
        """Frames that were due so far, whatever came of them."""
        return self._next

    def run(self, begins_s: float) -> bool:
        """Sends all of it, and says whether the stream itself went well.

        Args:
            begins_s: When its first frame is due, if a clock paces it. Frames that were due before now, as there was
                no stream for them, count as left out.
        """
        self._opened_s = self._sending.now()
        stub = DetectionServiceStub(self._way.channel)
        self._call = stub.StreamDetect(self._requests(), metadata=self._way.metadata)
        feeding = gevent.spawn(self._feed_by_clock, begins_s) if self._pace.fps else None
        ending = _UNANSWERED
        try:
            if feeding is None:
                for _ in range(self._pace.window):
                    self._offer(self._sending.now())
            for answer in self._call:
                self._take(answer)
                if feeding is None:
                    self._offer(self._sending.now())
                if self._pace.read_pause_s:
                    self._sending.pause(self._pace.read_pause_s)
        except (grpc.RpcError, ValueError) as error:  # a channel that was closed meanwhile raises ValueError
            ending = self._broken(error)
            return False
        finally:
            for greenlet in (feeding, self._giving_up):
                if greenlet is not None:
                    greenlet.kill()
            self._call.cancel()
            self._queue.put(None)
            for frame in list(self._waiting.values()):
                self._end(frame, ending)
        return True

    def _requests(self) -> Iterator[pb.StreamDetectRequest]:
        """What gRPC takes, when it has room for more."""
        deadline_us = round((self._pace.deadline_s or 0) * 1e6)
        while (frame := self._queue.get()) is not None:
            frame.sent_s = self._sending.now()
            request = pb.StreamDetectRequest(
                frame_index=frame.index, request=self._images[(self._first + frame.index) % len(self._images)]
            )
            if self._pace.tell_deadline:
                # What is left of it: the frame may have waited for the stream to take it.
                request.request.timeout_us = max(1, deadline_us - round((frame.sent_s - frame.due_s) * 1e6))
            yield request

    def _feed_by_clock(self, begins_s: float) -> None:
        assert self._pace.fps is not None
        for number in range(self._pace.frames):
            due_s = begins_s + number / self._pace.fps
            if due_s < self._opened_s:
                self._leave_out(due_s, "the stream before it had broken")
                continue
            if (wait_s := due_s - self._sending.now()) > 0:
                gevent.sleep(wait_s)
            if not self._sending.active():
                break
            if len(self._waiting) >= self._pace.window:
                self._leave_out(due_s, f"{self._pace.window} frames were under way already")
            else:
                self._offer(due_s)
        self._close()

    def _offer(self, due_s: float) -> None:
        """Sends one more frame, unless there are no more."""
        if self._next >= self._pace.frames or not self._sending.active():
            self._close()
            return
        frame = _Frame(self._next, due_s)
        self._next += 1
        self._waiting[frame.index] = frame
        self._sending.under_way += 1
        self._queue.put(frame)

    def _close(self) -> None:
        """No more frames; the answers to come have their time."""
        if self._giving_up is None:
            self._queue.put(None)
            self._giving_up = gevent.spawn_later(self._pace.timeout_s, self._call.cancel)

    def _leave_out(self, due_s: float, why: str) -> None:
        frame = _Frame(self._next, due_s)
        self._next += 1
        self._record(frame, Ending("unsent", "", why), None)

    def _take(self, answer: pb.StreamDetectResponse) -> None:
        frame = self._waiting.get(answer.frame_index)
        if frame is None:
            return
        done_s = self._sending.now()
        waited_s = done_s - frame.due_s
        deadline_s = self._pace.deadline_s
        if answer.HasField("error"):
            status = _STATUS.get(answer.error.code, grpc.StatusCode.UNKNOWN)
            error = from_status(status, answer.error.message, url=self._sending.access.url, model=self._model)
            self._end(frame, ending_of(error, waited_s, deadline_s or self._pace.timeout_s), done_s)
            return
        ending = DONE
        if deadline_s is not None and waited_s > deadline_s:
            ending = Ending("late", "OK", f"answered more than {deadline_s * 1000:g} ms after it was due")
        self._end(frame, ending, done_s, answer.response)

    def _broken(self, error: Exception) -> Ending:
        """How the frames end that were under way when the stream broke."""
        if self._sending.cut_off or not isinstance(error, grpc.RpcError):
            return CUT_OFF
        told = from_rpc_error(error, url=self._sending.access.url, model=self._model)
        ending = ending_of(told, 0.0, self._pace.timeout_s)
        if error.code() is grpc.StatusCode.CANCELLED:
            ending = Ending("lost", "", f"no answer within {self._pace.timeout_s:g} s after the last frame")
        elif isinstance(told, ServerUnreachable):
            ending = Ending("lost", ending.status, ending.message)
        if not self._waiting:
            frame = _Frame(self._next, self._sending.now())
            self._next += 1
            self._record(frame, ending, None)
        return ending

    def _end(
        self, frame: _Frame, ending: Ending, done_s: float | None = None, response: pb.DetectResponse | None = None
    ) -> None:
        self._waiting.pop(frame.index, None)
        self._sending.under_way -= 1
        if response is None:
            self._record(frame, ending, done_s)
        else:
            self._record(frame, ending, done_s, response.ByteSize(), typed_timings(response.timings))

    def _record(
        self,
        frame: _Frame,
        ending: Ending,
        done_s: float | None,
        response_bytes: int = 0,
        timings: Timings = NOT_TOLD,
    ) -> None:
        self._sending.record(
            RequestRecord(
                step=self._sending.step_index(frame.due_s),
                user=self._user,
                model=self._model,
                loop=self._loop,
                due_s=frame.due_s,
                outcome=ending.outcome,
                sent_s=frame.sent_s,
                done_s=done_s,
                status=ending.status,
                message=ending.message,
                response_bytes=response_bytes,
                timings=timings,
                stream=self._number,
                frame=frame.index,
                worker=self._sending.share,
            )
        )
