"""Whatever happens in whatever order: each frame comes out once, in its turn, and the window stays within its bounds."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pasarela_client import Frame, FrameError, InvalidRequest, ServerFailure
from pasarela_client.streaming.entry import Sending
from pasarela_client.streaming.rules import POLICIES, StreamRules
from pasarela_client.streaming.window import Window
from tests.unit.client.streaming.windows import FULL, GONE, Clock, done

ERRORS = st.sampled_from([None, FULL, GONE, InvalidRequest("cut short")])


class Frames(RuleBasedStateMachine):
    """A source, a server and a user that do as they please."""

    @initialize(
        window=st.integers(1, 5),
        policy=st.sampled_from(POLICIES),
        buffer=st.integers(1, 3),
        deadline_s=st.sampled_from([None, 3.0]),
        timeout_s=st.sampled_from([None, 5.0]),
    )
    def begin(self, **rules: Any) -> None:
        self.stream_rules = StreamRules(**rules)
        self.clock = Clock()
        self.window = Window(self.stream_rules, clock=self.clock, chance=lambda: 0.5)
        self.call = self.window.begin_call()
        self.open = True
        self.owed: dict[int, Sending] = {}
        self.taken = 0
        self.added = 0
        self.done = False

    @rule()
    def pull(self) -> None:
        if self.window.has_room():
            self.window.add(Frame(b"jpeg", str(self.added)))
            self.added += 1

    @rule()
    def send(self) -> None:
        sending = self.window.send(self.call)
        if sending is None:
            return
        assert self.open
        assert sending.index not in self.owed, "nothing is sent twice on a call before it was answered"
        assert sending.frame.origin == str(sending.index)
        assert sending.remaining_s is None or sending.remaining_s > 0
        self.owed[sending.index] = sending

    @precondition(lambda self: self.owed)
    @rule(data=st.data(), error=ERRORS)
    def answer(self, data: st.DataObject, error: Any) -> None:
        index = data.draw(st.sampled_from(sorted(self.owed)))
        del self.owed[index]
        self.window.answer(index, done(index) if error is None else FrameError(index, error, str(index)))

    @rule(index=st.integers(0, 30))
    def answer_what_is_not_owed(self, index: int) -> None:
        if index in self.owed:
            return
        try:
            self.window.answer(index, done(index))
        except ServerFailure:
            return
        raise AssertionError("nobody asked for this answer")

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def cannot_be_sent(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.owed)))
        self.window.refuse(self.owed.pop(index), InvalidRequest("no image"))

    @precondition(lambda self: self.open)
    @rule()
    def break_call(self) -> None:
        self.window.break_call(GONE)
        self.open = False
        self.owed.clear()

    @precondition(lambda self: self.open)
    @rule()
    def nobody_there(self) -> None:
        self.window.take_back()
        self.open = False
        self.owed.clear()

    @precondition(lambda self: not self.open and not self.done)
    @rule()
    def begin_call(self) -> None:
        self.call = self.window.begin_call()
        self.open = True

    @rule()
    def take(self) -> None:
        result = self.window.take()
        if result is not None:
            assert result.frame_index == self.taken
            assert result.origin == str(self.taken)
            self.taken += 1

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @rule()
    def end(self) -> None:
        self.window.end()

    @precondition(lambda self: not self.done)
    @rule()
    def fail(self) -> None:
        self.window.fail(ServerFailure("broken"))
        self.done, self.open = True, False
        self.owed.clear()

    @invariant()
    def every_frame_is_somewhere_once(self) -> None:
        counts = self.window.counts
        assert counts.pulled == self.added
        assert 0 <= counts.pending <= self.window.held
        assert self.window.lag_frames == self.added - self.taken

    @invariant()
    def bounds_hold(self) -> None:
        limit = self.stream_rules.window + (self.stream_rules.buffer if self.stream_rules.drops else 0)
        assert self.window.in_flight <= self.stream_rules.window
        assert self.window.held <= limit
        assert self.window.in_flight == len(self.owed)

    def teardown(self) -> None:
        """Whatever happened: an honest server and a patient user get all frames out."""
        if not hasattr(self, "window"):
            return
        self.window.end()
        for _ in range(1000):
            if self.window.is_over:
                break
            if not self.open:
                self.begin_call()
            self.clock.now_s += 0.1
            self.send()
            for index in sorted(self.owed):
                del self.owed[index]
                self.window.answer(index, done(index))
            self.take()
        assert self.window.is_over
        assert self.window.counts.pending == 0
        assert self.taken == self.added
        assert self.window.held == 0


TestFrames = Frames.TestCase
TestFrames.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
