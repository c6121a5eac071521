import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client import errors
from pasarela_client.errors import InvalidRequest, PasarelaError
from pasarela_client.retry import Failed, Retry, RetryBudget, Trouble, trouble_of, wait_s

UNREACHABLE, BUSY, FINAL = Trouble.UNREACHABLE, Trouble.BUSY, Trouble.FINAL
RETRY = Retry(retries=3, first_s=0.1, longest_s=0.3)


@pytest.mark.parametrize(
    ("failed", "chance", "expected"),
    [
        # reason: another server may well answer, and it costs this one nothing
        (Failed(UNREACHABLE, 1, None, untried=True), 1.0, 0.0),
        # reason: all were tried: wait, by chance, so that clients do not come back all at once
        (Failed(UNREACHABLE, 1, None, untried=False), 0.5, 0.05),
        (Failed(UNREACHABLE, 1, None, untried=False), 0.0, 0.0),
        # reason: each wait is drawn from twice as much as the one before
        (Failed(UNREACHABLE, 2, None, untried=False), 1.0, 0.2),
        # reason: none is longer than the longest
        (Failed(UNREACHABLE, 3, None, untried=False), 1.0, 0.3),
        # reason: a full queue never hears from us at once, whatever chance says, or who else there is
        (Failed(BUSY, 1, None, untried=True), 0.0, 0.05),
        (Failed(BUSY, 1, None, untried=True), 1.0, 0.1),
        # reason: so many retries and no more
        (Failed(UNREACHABLE, 4, None, untried=True), 0.0, None),
        (Failed(BUSY, 4, None, untried=False), 0.0, None),
        # reason: it would fail again
        (Failed(FINAL, 1, None, untried=True), 0.0, None),
        # reason: there would be no time left for the try
        (Failed(UNREACHABLE, 1, 0.05, untried=False), 0.5, None),
        (Failed(UNREACHABLE, 1, 0.0, untried=True), 0.5, None),
        (Failed(UNREACHABLE, 1, 0.06, untried=False), 0.5, 0.05),
    ],
)
def test_whether_and_when(failed: Failed, chance: float, expected: float | None) -> None:
    assert wait_s(RETRY, failed, chance) == (None if expected is None else pytest.approx(expected))


def test_no_retries_is_none_at_all() -> None:
    assert wait_s(Retry(retries=0), Failed(UNREACHABLE, 1, None, untried=True), 0.0) is None


def test_waits_do_not_overflow() -> None:
    assert wait_s(Retry(retries=10**6), Failed(BUSY, 10**6, None, untried=False), 1.0) == 2.0


KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PasarelaError)),
    key=lambda kind: kind.__name__,
)
TRIED_AGAIN = {
    errors.ServerUnreachable: UNREACHABLE,
    errors.ServerStopping: UNREACHABLE,
    errors.QueueFull: BUSY,
    errors.QueueTimeout: BUSY,
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_unreachable_server_and_a_full_queue_are_worth_another_try(kind: type[PasarelaError]) -> None:
    assert trouble_of(kind("why")) is TRIED_AGAIN.get(kind, FINAL)


@pytest.mark.parametrize(
    "wrong",
    [{"retries": -1}, {"first_s": 0.0}, {"first_s": 3.0}, {"budget": -1.0}, {"refill": -0.1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        Retry(**wrong)  # type: ignore[arg-type]


settings = st.builds(
    Retry,
    retries=st.integers(0, 8),
    first_s=st.floats(0.001, 1),
    longest_s=st.floats(1, 10),
    budget=st.floats(0, 20),
    refill=st.floats(0, 0.5),
)
failures = st.tuples(st.sampled_from(Trouble), st.booleans(), st.floats(0, 1), st.floats(0, 3))


@given(retry=settings, timeout_s=st.floats(0, 20), happens=st.lists(failures, max_size=30))
def test_no_call_is_tried_too_often_or_past_its_deadline(
    retry: Retry, timeout_s: float, happens: list[tuple[Trouble, bool, float, float]]
) -> None:
    """A call that fails as `happens` says, each try taking a while that gRPC cuts off at the deadline."""
    now_s, tries = 0.0, 0
    for trouble, untried, chance, takes_s in happens:
        assert now_s < timeout_s or tries == 0, "a try began when the time was over"
        now_s = min(now_s + takes_s, max(now_s, timeout_s))
        tries += 1
        seconds = wait_s(retry, Failed(trouble, tries, timeout_s - now_s, untried), chance)
        if seconds is None:
            break
        assert seconds <= retry.longest_s
        assert trouble is not BUSY or seconds > 0
        now_s += seconds
    assert tries <= retry.retries + 1
    assert now_s <= timeout_s or tries == 1


@given(retry=settings, calls=st.lists(st.booleans(), max_size=200))
def test_all_calls_together_never_spend_more_than_the_budget(retry: Retry, calls: list[bool]) -> None:
    """True is a call that succeeds, False one that wants a retry."""
    budget = RetryBudget(retry)
    retries = successes = 0
    for succeeded in calls:
        if succeeded:
            budget.succeeded()
            successes += 1
        else:
            retries += budget.spend()
        assert 0 <= budget.left <= retry.budget
        assert retries <= retry.budget + successes * retry.refill + 1e-6
