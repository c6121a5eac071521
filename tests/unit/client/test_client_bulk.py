import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pasarela_client.bulk import FIRST, MOST, Attempt, BulkWindow, Pace, pause_s
from pasarela_client.errors import InvalidRequest
from pasarela_client.retry import Retry, Trouble

UNREACHABLE, BUSY, FINAL = Trouble.UNREACHABLE, Trouble.BUSY, Trouble.FINAL
RETRY = Retry(retries=2, first_s=0.1)


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        # reason: the servers answer, this one will be back: as long as the image's time lasts
        (Attempt(UNREACHABLE, 50, 10.0, untried=False, answered=True), 2.0),
        (Attempt(BUSY, 50, 10.0, untried=True, answered=True), 2.0),
        # reason: another server answers
        (Attempt(UNREACHABLE, 1, 10.0, untried=True, answered=True), 0.0),
        # reason: a full queue is a sign of life before the first answer, too
        (Attempt(BUSY, 50, 10.0, untried=False, answered=False), 2.0),
        # reason: nobody has ever answered: as many tries as a single call
        (Attempt(UNREACHABLE, 2, 10.0, untried=False, answered=False), 0.2),
        (Attempt(UNREACHABLE, 3, 10.0, untried=False, answered=False), None),
        # reason: its time is over
        (Attempt(BUSY, 50, 2.0, untried=False, answered=True), None),
        # reason: without a limit it waits for ever
        (Attempt(BUSY, 50, None, untried=False, answered=True), 2.0),
        # reason: it would fail again
        (Attempt(FINAL, 1, 10.0, untried=True, answered=True), None),
    ],
)
def test_whether_and_when_an_image_is_sent_again(attempt: Attempt, expected: float | None) -> None:
    assert pause_s(attempt, RETRY, 1.0) == expected


def test_one_more_after_each_round_and_half_as_many_after_a_refusal() -> None:
    pace = Pace(16, 64)
    for _ in range(17):
        pace.answered()
    assert pace.limit == 17
    pace.refused(pace.round)
    assert pace.limit == 8


def test_refusals_of_one_round_cut_once() -> None:
    pace = Pace(16, 64)
    began = pace.round
    for _ in range(16):
        pace.refused(began)
    assert pace.limit == 8


@given(st.lists(st.integers(-1, 3), max_size=300), st.integers(1, 20), st.integers(0, 20))
def test_the_pace_stays_within_its_bounds(happens: list[int], first: int, more: int) -> None:
    """-1 is an answer, a number a refusal of a call that began so many rounds ago."""
    pace = Pace(first, first + more)
    for event in happens:
        if event < 0:
            pace.answered()
        else:
            pace.refused(pace.round - event)
        assert 1 <= pace.limit <= first + more


def test_the_pace_that_somebody_wants() -> None:
    assert Pace.of(None, servers=2).limit == 2 * FIRST
    fixed = Pace.of(3, servers=2)
    fixed.answered()
    assert fixed.limit == 3
    free = Pace.of(None, servers=1)
    for _ in range(MOST * MOST):
        free.answered()
    assert free.limit == MOST
    with pytest.raises(InvalidRequest, match="concurrency"):
        Pace.of(0, servers=1)


class Bulk(RuleBasedStateMachine):
    """Images in any order of events: each comes out once, in order where that is wanted, and few are kept."""

    @initialize(ordered=st.booleans(), first=st.integers(1, 5))
    def begin_work(self, ordered: bool, first: int) -> None:
        self.pace = Pace(first, 6)
        self.window = BulkWindow[int](self.pace, ordered=ordered)
        self.ordered = ordered
        self.waiting: list[int] = []
        self.under_way: list[int] = []
        self.finished: list[int] = []
        self.taken: list[int] = []

    @rule()
    def pull(self) -> None:
        outstanding = len(self.waiting) + len(self.under_way) + len(self.finished)
        if self.window.may_pull():
            assert outstanding < 2 * self.pace.limit
            self.waiting.append(self.window.pull())
        else:
            assert outstanding >= 2 * self.pace.limit or self.window.ended

    @precondition(lambda self: getattr(self, "waiting", None))
    @rule()
    def begin(self) -> None:
        if self.window.begin():
            self.under_way.append(self.waiting.pop(0))
            assert len(self.under_way) <= self.pace.limit
        else:
            assert len(self.under_way) >= self.pace.limit

    @precondition(lambda self: getattr(self, "under_way", None))
    @rule(which=st.integers(0, 100))
    def answer(self, which: int) -> None:
        index = self.under_way.pop(which % len(self.under_way))
        self.window.end()
        self.pace.answered()
        self.window.finish(index, index, answered=True)
        self.finished.append(index)
        assert self.window.answered

    @precondition(lambda self: getattr(self, "under_way", None))
    @rule(which=st.integers(0, 100))
    def refuse(self, which: int) -> None:
        self.waiting.insert(0, self.under_way.pop(which % len(self.under_way)))
        self.window.end()
        self.pace.refused(self.pace.round)

    @rule()
    def take(self) -> None:
        due = len(self.taken) if self.ordered else self.finished[0] if self.finished else None
        result = self.window.take()
        assert result == (due if due in self.finished else None)
        if result is not None:
            self.finished.remove(result)
            self.taken.append(result)

    @rule()
    def exhaust(self) -> None:
        self.window.exhaust()

    @invariant()
    def it_is_over_when_all_is_handed_out(self) -> None:
        if hasattr(self, "window"):
            left = self.waiting or self.under_way or self.finished
            assert self.window.over == (self.window.ended and not left)


TestBulk = Bulk.TestCase
TestBulk.settings = settings(max_examples=50, stateful_step_count=40)


def test_what_the_source_raised_is_kept_for_the_end() -> None:
    window = BulkWindow[str](Pace(2, 2), ordered=True)
    window.pull()
    error = LookupError("the disk is gone")
    window.exhaust(error)
    assert not window.over
    window.finish(0, "first", answered=True)
    assert window.take() == "first"
    assert window.over
    assert window.error is error


def test_closed_it_hands_out_nothing_more() -> None:
    window = BulkWindow[str](Pace(2, 2), ordered=True)
    window.pull()
    window.close()
    window.pull()  # it was about to
    window.finish(0, "late", answered=True)
    assert (window.take(), window.over, window.may_pull(), window.closed) == (None, True, False, True)
