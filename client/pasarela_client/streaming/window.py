"""Every frame of a stream, from the moment it is pulled until its result is handed out: who is sent, who waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from pasarela_client.detections import Detections, FrameError
from pasarela_client.errors import (
    DeadlineExpired,
    FrameDropped,
    PasarelaError,
    QueueFull,
    ServerFailure,
    ServerUnreachable,
)
from pasarela_client.frame import Frame
from pasarela_client.streaming.counts import StreamCounts
from pasarela_client.streaming.pace import Pace
from pasarela_client.streaming.results import FrameResult, failed
from pasarela_client.streaming.rules import StreamRules

BREAKS_ALLOWED: Final = 3
"""A frame that was under way when so many calls broke is not sent again: it may be what breaks the server."""

REMEMBERED: Final = 1024
"""So many dropped frames keep origin and time while nobody takes results; of further ones only the index is known."""


class _State(Enum):
    WAITING = auto()
    UNDER_WAY = auto()
    SETTLED = auto()


@dataclass(slots=True)
class _Entry:
    frame: Frame
    pulled_s: float
    state: _State = _State.WAITING
    sends: int = 0
    sent_s: float = 0.0
    """The last time."""
    breaks: int = 0
    refused_since_s: float | None = None
    result: FrameResult | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """A frame that is to be sent now."""

    index: int
    frame: Frame
    remaining_s: float | None
    """How much of its deadline is left."""
    call: int
    """The call that it is to be sent on."""


class Window:
    """Knows every frame and decides; nothing here waits, and it is for one caller at a time.

    A frame is waiting, then under way, then settled, and forgotten when its result has been handed out. Never more
    than `window` frames are under way or settled, so a user who is slow to take results slows the sending down. Under
    `block` those that wait count as well, and the source is pulled only where there is room. Under `drop-oldest` the
    source is pulled at any time: a frame that has no room waits, and only the newest `buffer` of such frames stay.

    A frame whose deadline passed while it was under way is handed out, but the server still owes its answer: until
    that has come it counts as under way.
    """

    def __init__(
        self,
        rules: StreamRules,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        model: str = "",
        stream_id: str = "",
    ) -> None:
        """An empty window.

        Args:
            rules: Of the stream.
            clock: Seconds that never go back.
            chance: From 0 to 1, drawn anew.
            model: The model that is asked, for errors.
            stream_id: What the names of the frames' requests begin with.
        """
        self._rules = rules
        self._clock = clock
        self._model = model
        self._stream_id = stream_id
        self._pace = Pace(rules.window, clock, chance)
        self._entries: dict[int, _Entry] = {}
        self._waiting: list[int] = []
        self._owed: set[int] = set()
        self._late: set[int] = set()
        self._remembered: dict[int, tuple[str, float | None]] = {}
        self._next = 0
        self._call = 0
        self._call_open = False
        self._broken = False
        self._alone = False
        self._silent_since_s = 0.0
        self._ended = False
        self._error: BaseException | None = None
        self._pulled = self._sent = self._done = self._failed = self._expired = 0
        self._dropped = self._lost = self._resent = self._reconnects = 0

    @property
    def counts(self) -> StreamCounts:
        """What became of the frames so far."""
        return StreamCounts(
            pulled=self._pulled,
            sent=self._sent,
            done=self._done,
            failed=self._failed,
            dropped=self._dropped,
            lost=self._lost,
            expired=self._expired,
            resent=self._resent,
            reconnects=self._reconnects,
        )

    def request_id(self, index: int) -> str:
        """How the request of a frame is called."""
        return f"{self._stream_id}-{index}"

    @property
    def lag_frames(self) -> int:
        """Frames pulled whose results were not handed out."""
        return self._pulled - self._next

    @property
    def lag_s(self) -> float:
        """Seconds since the oldest frame that is still here was pulled; 0 if there is none."""
        oldest = next(iter(self._entries.values()), None)
        return 0.0 if oldest is None else self._clock() - oldest.pulled_s

    @property
    def in_flight(self) -> int:
        """Frames that the server owes an answer."""
        return len(self._owed)

    @property
    def held(self) -> int:
        """Frames whose images are kept here."""
        return len(self._entries)

    # The source.

    def has_room(self) -> bool:
        """Whether a frame may be pulled now."""
        if self._ended:
            return False
        return self._rules.drops or self._used() + len(self._waiting) < self._rules.window

    def add(self, frame: Frame) -> None:
        """A frame was pulled. Under `drop-oldest` one that waits longer may have to make room for it."""
        if self._ended:
            return
        index = self._pulled
        self._pulled += 1
        self._entries[index] = _Entry(frame, self._clock())
        heapq.heappush(self._waiting, index)
        self._drop_oldest()

    def end(self, error: BaseException | None = None) -> None:
        """The source has no more frames, or raised."""
        if not self._ended:
            self._ended = True
            self._error = error

    # The call.

    def begin_call(self) -> int:
        """A call begins; its number."""
        self._call += 1
        self._call_open = True
        self._reconnects += self._broken
        self._broken = False
        return self._call

    def send(self, call: int) -> Sending | None:
        """The frame to be sent on this call now, which is under way from here on; None while there is none."""
        if call != self._call or not self._call_open:
            return None
        while self._waiting and self._may_send(self._entries[self._waiting[0]]):
            index = heapq.heappop(self._waiting)
            entry = self._entries[index]
            remaining_s = self._remaining_s(entry)
            if remaining_s is not None and remaining_s <= 0:
                self._settle_expired(index, entry)
                continue
            if not self._owed:
                self._silent_since_s = self._clock()
            self._sent += not entry.sends
            self._resent += bool(entry.sends)
            entry.sends += 1
            entry.state = _State.UNDER_WAY
            entry.sent_s = self._clock()
            self._owed.add(index)
            self._alone = self._is_suspect(entry)
            return Sending(index, entry.frame, remaining_s, call)
        return None

    def may_send_more(self, call: int) -> bool:
        """False once the call is to be closed on this side.

        That is when all frames of the source were sent: if the server's queue is full for one of them, it is sent on
        another call.
        """
        return call == self._call and self._call_open and not (self._ended and not self._waiting)

    def needs_another_call(self) -> bool:
        """The server ended the call as it should: whether frames are left that its queue was full for."""
        return self._ended and bool(self._waiting) and not self._owed

    @property
    def pause_s(self) -> float | None:
        """How long the server's full queue keeps frames from being sent; None if it does not."""
        return self._pace.pause_s or None

    def refuse(self, sending: Sending, error: PasarelaError) -> None:
        """The frame could not be made into a request."""
        entry = self._entries.get(sending.index)
        if sending.call != self._call or sending.index not in self._owed:
            return
        self._owed.discard(sending.index)
        self._late.discard(sending.index)
        if entry is not None:
            self._settle(entry, failed(error, sending.index, entry.frame))

    def awaited(self, index: int) -> tuple[Frame, float] | None:
        """A frame whose answer is waited for, and when it was sent; None if its answer comes too late, or unasked."""
        if index not in self._owed or index in self._late:
            return None
        entry = self._entries[index]
        return entry.frame, entry.sent_s

    def answer(self, index: int, result: FrameResult | None) -> None:
        """The server answered a frame.

        Args:
            index: The frame's.
            result: What it answered; None if `awaited` said that nobody waits for it.

        Raises:
            ServerFailure: It does not owe this answer: it gave it before, or was never asked.
        """
        if index not in self._owed:
            raise ServerFailure(
                f"the server answered frame {index}, which it did not owe; frame {self._next} is due next"
            )
        self._owed.discard(index)
        self._silent_since_s = self._clock()
        if index in self._late or result is None:
            self._late.discard(index)
            return
        entry = self._entries[index]
        remaining_s = self._remaining_s(entry)
        if isinstance(result, FrameError) and isinstance(result.error, QueueFull):
            self._answer_full(index, entry, result)
        elif remaining_s is not None and remaining_s <= 0:
            self._settle_expired(index, entry)
        else:
            self._pace.answered()
            self._settle(entry, result)

    def break_call(self, error: PasarelaError) -> None:
        """The call is over before its time. What was under way is sent again, or lost."""
        owed = sorted(self._owed - self._late)
        self._close_call()
        self._broken = True
        for index in owed:
            entry = self._entries[index]
            entry.breaks += 1
            if not self._rules.drops and entry.breaks < BREAKS_ALLOWED:
                entry.state = _State.WAITING
                heapq.heappush(self._waiting, index)
                continue
            reason = (
                f"lost with its connection: {error}"
                if self._rules.drops
                else f"was under way when the connection broke {entry.breaks} times, so it may be what breaks the "
                f"server: {error}"
            )
            self._settle_lost(index, entry, self._unreachable(reason, index, error))

    def take_back(self) -> None:
        """The call is over before it reached a server: what was handed to it waits again, as if it never was."""
        owed = sorted(self._owed - self._late)
        self._close_call()
        for index in owed:
            entry = self._entries[index]
            entry.sends -= 1
            self._sent -= not entry.sends
            self._resent -= bool(entry.sends)
            entry.state = _State.WAITING
            heapq.heappush(self._waiting, index)
        self._drop_oldest()

    def fail(self, error: PasarelaError, *, at_once: bool = False) -> None:
        """The stream is over: what has no result is lost, and the error is raised after all results.

        Args:
            error: Why.
            at_once: Nothing more is handed out before the error.
        """
        self._ended = True
        self._error = error
        self._close_call()
        if at_once:
            self._forget()
            return
        self._waiting.clear()
        for index, entry in self._entries.items():
            if entry.state is not _State.SETTLED:
                self._settle_lost(index, entry, error)

    def abandon(self) -> None:
        """Nobody wants further results."""
        self._ended = True
        self._error = None
        self._close_call()
        self._forget()

    # The user.

    def take(self) -> FrameResult | None:
        """The result that is due; None while it is missing."""
        index = self._next
        if index >= self._pulled:
            return None
        entry = self._entries.get(index)
        if entry is None:
            self._next += 1
            origin, timestamp_s = self._remembered.pop(index, ("", None))
            left_out = FrameDropped("left out for newer frames", model=self._model)
            return FrameError(index, left_out, origin=origin, timestamp_s=timestamp_s)
        remaining_s = self._remaining_s(entry)
        if entry.state is not _State.SETTLED and remaining_s is not None and remaining_s <= 0:
            if entry.state is _State.WAITING:
                heapq.heappop(self._waiting)  # frames wait in their order, and all before this one are gone
            else:
                self._late.add(index)
            self._settle_expired(index, entry)
        if entry.result is None:
            return None
        self._next += 1
        del self._entries[index]
        return entry.result

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is pulled."""
        return self._ended

    @property
    def is_over(self) -> bool:
        """Whether all results were handed out and no more come."""
        return self._ended and self._next >= self._pulled

    @property
    def is_answered(self) -> bool:
        """Whether no frame is without its result and no more come."""
        return self._ended and all(entry.state is _State.SETTLED for entry in self._entries.values())

    def take_error(self) -> BaseException | None:
        """What is to be raised after the last result, once."""
        error, self._error = self._error, None
        return error

    @property
    def silence_s(self) -> float:
        """How long the server has owed an answer without giving any; 0 while it owes none."""
        return self._clock() - self._silent_since_s if self._owed else 0.0

    @property
    def is_silent(self) -> bool:
        """Whether the server owes an answer for longer than is allowed."""
        return self._rules.timeout_s is not None and bool(self._owed) and self.silence_s >= self._rules.timeout_s

    @property
    def changes_in_s(self) -> float | None:
        """When at the latest `take` or `is_silent` may tell something new by themselves; None for never."""
        waits = []
        if self._rules.timeout_s is not None and self._owed:
            waits.append(self._rules.timeout_s - self.silence_s)
        due = self._entries.get(self._next)
        remaining_s = None if due is None else self._remaining_s(due)
        if remaining_s is not None:
            waits.append(remaining_s)
        return max(0.0, min(waits)) if waits else None

    def _used(self) -> int:
        return len(self._entries) - len(self._waiting) + len(self._late)

    def _free(self) -> int:
        """How many more frames can be sent at once."""
        if not self._call_open or self._pace.pause_s > 0 or self._alone:
            return 0
        return max(0, min(self._rules.window - self._used(), self._pace.limit - len(self._owed)))

    def _may_send(self, entry: _Entry) -> bool:
        return self._free() > 0 and not (self._is_suspect(entry) and self._owed)

    def _is_suspect(self, entry: _Entry) -> bool:
        """Whether the next break would be this frame's last: it then travels alone, so that no other shares it."""
        return entry.breaks == BREAKS_ALLOWED - 1

    def _remaining_s(self, entry: _Entry) -> float | None:
        deadline_s = self._rules.deadline_s
        return None if deadline_s is None else entry.pulled_s + deadline_s - self._clock()

    def _answer_full(self, index: int, entry: _Entry, result: FrameError) -> None:
        now_s = self._clock()
        self._pace.refused(entry.sent_s)
        if entry.refused_since_s is None:
            entry.refused_since_s = now_s
        patience_s = self._rules.timeout_s
        if self._rules.drops or (patience_s is not None and now_s - entry.refused_since_s >= patience_s):
            self._settle(entry, result)
            return
        self._alone = False
        entry.state = _State.WAITING
        heapq.heappush(self._waiting, index)

    def _settle_expired(self, index: int, entry: _Entry) -> None:
        how = "it was not even sent" if not entry.sends else "no answer came in time"
        error = DeadlineExpired(
            f"the frame's deadline of {self._rules.deadline_s:g} s passed: {how} (deadline_s)",
            model=self._model,
            request_id=self.request_id(index),
        )
        self._settle(entry, failed(error, index, entry.frame))

    def _settle_lost(self, index: int, entry: _Entry, error: PasarelaError) -> None:
        self._lost += 1
        entry.state = _State.SETTLED
        entry.result = failed(error, index, entry.frame)

    def _settle(self, entry: _Entry, result: FrameResult) -> None:
        self._alone = False
        entry.state = _State.SETTLED
        entry.result = result
        if isinstance(result, Detections):
            self._done += 1
            return
        self._failed += 1
        self._expired += isinstance(result.error, DeadlineExpired)

    def _drop_oldest(self) -> None:
        while self._rules.drops and len(self._waiting) > self._rules.buffer + self._free():
            index = heapq.heappop(self._waiting)
            entry = self._entries.pop(index)
            self._dropped += 1
            if len(self._remembered) < REMEMBERED:
                self._remembered[index] = (entry.frame.origin, entry.frame.timestamp_s)

    def _close_call(self) -> None:
        self._call_open = False
        self._alone = False
        self._owed.clear()
        self._late.clear()

    def _forget(self) -> None:
        """Nothing of what is here will be handed out."""
        self._lost += sum(entry.state is not _State.SETTLED for entry in self._entries.values())
        self._entries.clear()
        self._waiting.clear()
        self._remembered.clear()
        self._next = self._pulled

    def _unreachable(self, message: str, index: int, error: PasarelaError) -> ServerUnreachable:
        unreachable = ServerUnreachable(
            message, model=self._model, status=error.status, request_id=self.request_id(index)
        )
        unreachable.__cause__ = error
        return unreachable
