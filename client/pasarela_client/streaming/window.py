"""Every frame of a stream, from the moment it is pulled until its result is handed out: who is sent, who waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from pasarela_client.detections import FrameError
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
from pasarela_client.streaming.debt import Debt
from pasarela_client.streaming.entry import BREAKS_ALLOWED, Entry, Sending, State
from pasarela_client.streaming.pace import Pace
from pasarela_client.streaming.results import FrameResult, failed, lost
from pasarela_client.streaming.rules import StreamRules
from pasarela_client.streaming.tally import Tally

REMEMBERED: Final = 1024
"""So many dropped frames keep origin and time while nobody takes results; of further ones only the index is known."""


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
        self._debt = Debt(clock)
        self._tally = Tally()
        self._entries: dict[int, Entry] = {}
        self._waiting: list[int] = []
        self._remembered: dict[int, tuple[str, float | None]] = {}
        self._next = 0
        self._call = 0
        self._call_open = False
        self._broken = False
        self._alone = False
        self._ended = False
        self._error: BaseException | None = None

    @property
    def counts(self) -> StreamCounts:
        """What became of the frames so far."""
        return self._tally.counts

    @property
    def lag_frames(self) -> int:
        """Frames pulled whose results were not handed out."""
        return self._tally.pulled - self._next

    @property
    def lag_s(self) -> float:
        """Seconds since the oldest frame that is still here was pulled; 0 if there is none."""
        oldest = next(iter(self._entries.values()), None)
        return 0.0 if oldest is None else self._clock() - oldest.pulled_s

    @property
    def in_flight(self) -> int:
        """Frames that the server owes an answer."""
        return len(self._debt)

    @property
    def waiting(self) -> int:
        """Frames that wait to be sent."""
        return len(self._waiting)

    @property
    def held(self) -> int:
        """Frames whose images are kept here."""
        return len(self._entries)

    def request_id(self, index: int) -> str:
        """How the request of a frame is called."""
        return f"{self._stream_id}-{index}"

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
        index = self._tally.pulled
        self._tally.pulled += 1
        self._entries[index] = Entry(index, frame, self._clock())
        heapq.heappush(self._waiting, index)
        self._drop_oldest()

    def end(self, error: BaseException | None = None) -> None:
        """The source has no more frames, or raised."""
        if not self._ended:
            self._ended = True
            self._error = error

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is pulled."""
        return self._ended

    # The call.

    def begin_call(self) -> int:
        """A call begins; its number."""
        self._call += 1
        self._call_open = True
        self._tally.reconnects += self._broken
        self._broken = False
        return self._call

    def send(self, call: int) -> Sending | None:
        """The frame to be sent on this call now, which is under way from here on; None while there is none."""
        if call != self._call or not self._call_open:
            return None
        while self._waiting and self._may_send(self._entries[self._waiting[0]]):
            entry = self._entries[heapq.heappop(self._waiting)]
            remaining_s = self._remaining_s(entry)
            if remaining_s is not None and remaining_s <= 0:
                self._settle_expired(entry)
                continue
            self._tally.sent(entry.sends)
            self._debt.add(entry.index)
            entry.state, entry.sends, entry.sent_s = State.UNDER_WAY, entry.sends + 1, self._clock()
            self._alone = entry.is_suspect
            return Sending(entry.index, entry.frame, remaining_s, call)
        return None

    def may_send_more(self, call: int) -> bool:
        """False once the call is to be closed on this side.

        That is when all frames of the source were sent: if the server's queue is full for one of them, it is sent on
        another call.
        """
        return call == self._call and self._call_open and not (self._ended and not self._waiting)

    @property
    def pause_s(self) -> float | None:
        """How long the server's full queue keeps frames from being sent; None if it does not."""
        return self._pace.pause_s or None

    def refuse(self, sending: Sending, error: PasarelaError) -> None:
        """The frame could not be made into a request."""
        if sending.call != self._call or sending.index not in self._debt:
            return
        self._debt.forget(sending.index)
        entry = self._entries.get(sending.index)
        if entry is not None:
            self._settle(entry, failed(error, sending.index, entry.frame))

    def awaited(self, index: int) -> tuple[Frame, float] | None:
        """A frame whose answer is waited for, and when it was sent; None if its answer comes too late, or unasked."""
        if not self._debt.is_awaited(index):
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
        if index not in self._debt:
            raise ServerFailure(
                f"the server answered frame {index}, which it did not owe; frame {self._next} is due next",
                model=self._model,
                request_id=self.request_id(index),
            )
        awaited = self._debt.is_awaited(index)
        self._debt.pay(index)
        if not awaited or result is None:
            return
        entry = self._entries[index]
        remaining_s = self._remaining_s(entry)
        if isinstance(result, FrameError) and isinstance(result.error, QueueFull | ServerUnreachable):
            self._answer_busy(entry, result)
        elif remaining_s is not None and remaining_s <= 0:
            self._settle_expired(entry)
        else:
            self._pace.answered()
            self._settle(entry, result)

    def break_call(self, error: PasarelaError) -> None:
        """The call is over before its time. What was under way is sent again, or lost."""
        self._broken = True
        for index in self._close_call():
            entry = self._entries[index]
            entry.breaks += 1
            if self._rules.drops:
                self._settle_lost(entry, "lost with its connection", error)
            elif entry.breaks >= BREAKS_ALLOWED:
                self._settle_lost(
                    entry,
                    f"was under way when {entry.breaks} calls broke, so it may be what breaks the server",
                    error,
                )
            else:
                self._wait_again(entry)
        self._drop_oldest()

    def take_back(self) -> None:
        """The call is over before it reached a server: what was handed to it waits again, as if it never was."""
        for index in self._close_call():
            entry = self._entries[index]
            entry.sends -= 1
            self._tally.not_sent(entry.sends)
            self._wait_again(entry)
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
        for entry in self._entries.values():
            if entry.state is not State.SETTLED:
                self._tally.lost += 1
                entry.state, entry.result = State.SETTLED, failed(error, entry.index, entry.frame)

    def abandon(self) -> None:
        """Nobody wants further results."""
        self._ended = True
        self._error = None
        self._close_call()
        self._forget()

    @property
    def is_answered(self) -> bool:
        """Whether no frame is without its result and no more come."""
        return self._ended and all(entry.state is State.SETTLED for entry in self._entries.values())

    @property
    def needs_another_call(self) -> bool:
        """Whether the only frames without a result are those that the server would not take just now."""
        return self._ended and bool(self._waiting) and not self._debt

    # The user.

    def take(self) -> FrameResult | None:
        """The result that is due; None while it is missing."""
        index = self._next
        if index >= self._tally.pulled:
            return None
        entry = self._entries.get(index)
        if entry is None:
            self._next += 1
            origin, timestamp_s = self._remembered.pop(index, ("", None))
            left_out = FrameDropped("left out for newer frames", model=self._model)
            return FrameError(index, left_out, origin=origin, timestamp_s=timestamp_s)
        remaining_s = self._remaining_s(entry)
        if entry.state is not State.SETTLED and remaining_s is not None and remaining_s <= 0:
            if entry.state is State.WAITING:
                heapq.heappop(self._waiting)  # frames wait in their order, and all before this one are gone
            else:
                self._debt.call_late(index)
            self._settle_expired(entry)
        if entry.result is None:
            return None
        self._next += 1
        del self._entries[index]
        return entry.result

    @property
    def is_over(self) -> bool:
        """Whether all results were handed out and no more come."""
        return self._ended and self._next >= self._tally.pulled

    def take_error(self) -> BaseException | None:
        """What is to be raised after the last result, once."""
        error, self._error = self._error, None
        return error

    @property
    def is_silent(self) -> bool:
        """Whether the server owes an answer for longer than is allowed."""
        timeout_s = self._rules.timeout_s
        return timeout_s is not None and bool(self._debt) and self._debt.silence_s >= timeout_s

    @property
    def changes_in_s(self) -> float | None:
        """When at the latest `take` or `is_silent` may tell something new by themselves; None for never.

        What is pulled or sent after this was asked brings nothing forward, so it need not be asked again then.
        """
        waits = [limit_s for limit_s in (self._rules.timeout_s, self._rules.deadline_s) if limit_s is not None]
        if self._rules.timeout_s is not None and self._debt:
            waits.append(self._rules.timeout_s - self._debt.silence_s)
        due = self._entries.get(self._next)
        remaining_s = None if due is None else self._remaining_s(due)
        if remaining_s is not None:
            waits.append(remaining_s)
        return max(0.0, min(waits)) if waits else None

    def _used(self) -> int:
        return len(self._entries) - len(self._waiting) + self._debt.late

    def _free(self) -> int:
        """How many more frames can be sent at once."""
        if not self._call_open or self._pace.pause_s > 0 or self._alone:
            return 0
        return max(0, min(self._rules.window - self._used(), self._pace.limit - len(self._debt)))

    def _may_send(self, entry: Entry) -> bool:
        return self._free() > 0 and not (entry.is_suspect and self._debt)

    def _remaining_s(self, entry: Entry) -> float | None:
        deadline_s = self._rules.deadline_s
        return None if deadline_s is None else entry.pulled_s + deadline_s - self._clock()

    def _answer_busy(self, entry: Entry, result: FrameError) -> None:
        """The server would not take the frame just now: its queue is full, or its model is being replaced."""
        now_s = self._clock()
        self._pace.refused(entry.sent_s)
        if entry.refused_since_s is None:
            entry.refused_since_s = now_s
        patience_s = self._rules.timeout_s
        if self._rules.drops or (patience_s is not None and now_s - entry.refused_since_s >= patience_s):
            self._settle(entry, result)
            self._drop_oldest()
        else:
            self._wait_again(entry)

    def _wait_again(self, entry: Entry) -> None:
        self._alone = False
        entry.state = State.WAITING
        heapq.heappush(self._waiting, entry.index)

    def _settle(self, entry: Entry, result: FrameResult) -> None:
        self._alone = False
        self._tally.settled(result)
        entry.state, entry.result = State.SETTLED, result

    def _settle_expired(self, entry: Entry) -> None:
        how = "no answer came in time" if entry.sends else "it was not even sent"
        error = DeadlineExpired(
            f"the frame's deadline of {self._rules.deadline_s:g} s passed: {how} (deadline_s)",
            model=self._model,
            request_id=self.request_id(entry.index),
        )
        self._settle(entry, failed(error, entry.index, entry.frame))

    def _settle_lost(self, entry: Entry, reason: str, cause: PasarelaError) -> None:
        error = lost(reason, cause, model=self._model, request_id=self.request_id(entry.index))
        self._tally.lost += 1
        entry.state, entry.result = State.SETTLED, failed(error, entry.index, entry.frame)

    def _drop_oldest(self) -> None:
        while self._rules.drops and len(self._waiting) > self._rules.buffer + self._free():
            entry = self._entries.pop(heapq.heappop(self._waiting))
            self._tally.dropped += 1
            if len(self._remembered) < REMEMBERED:
                self._remembered[entry.index] = (entry.frame.origin, entry.frame.timestamp_s)

    def _close_call(self) -> list[int]:
        """The frames that were under way on it."""
        self._call_open = False
        self._alone = False
        return self._debt.cancel()

    def _forget(self) -> None:
        """Nothing of what is here will be handed out."""
        self._tally.lost += sum(entry.state is not State.SETTLED for entry in self._entries.values())
        self._entries.clear()
        self._waiting.clear()
        self._remembered.clear()
        self._next = self._tally.pulled
