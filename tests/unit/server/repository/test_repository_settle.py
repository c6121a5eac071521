"""When something that is being written counts as finished."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.repository.settle import Sight, remaining_s, see


@pytest.mark.parametrize(
    ("before", "look", "now_s", "age_s", "since_s"),
    [
        (None, "a", 10.0, 0.0, 10.0),  # reason: seen for the first time, just written
        (None, "a", 10.0, 60.0, -50.0),  # reason: it was there long before anybody looked
        (None, "a", 10.0, -5.0, 10.0),  # reason: a file from the future is as if it were new
        (Sight("a", 3.0), "a", 10.0, 0.0, 3.0),  # reason: it has not changed
        (Sight("a", 3.0), "b", 10.0, 60.0, 10.0),  # reason: it has, whatever its dates say
        (Sight("a", 3.0), None, 10.0, 0.0, 10.0),  # reason: it has vanished, which must settle too
        (Sight(None, 3.0), "a", 10.0, 60.0, 10.0),  # reason: it has come back
    ],
)
def test_a_look(before, look, now_s, age_s, since_s):
    assert see(before, look, now_s, age_s) == Sight(look, since_s)


@pytest.mark.parametrize(
    ("since_s", "now_s", "settle_s", "expected"),
    [
        (10.0, 10.0, 2.0, 2.0),  # reason: just seen
        (10.0, 11.5, 2.0, 0.5),  # reason: a while ago
        (10.0, 12.0, 2.0, 0.0),  # reason: exactly long enough
        (-50.0, 10.0, 2.0, 0.0),  # reason: long ago
        (10.0, 10.0, 0.0, 0.0),  # reason: nothing needs to settle
    ],
)
def test_what_remains(since_s, now_s, settle_s, expected):
    assert remaining_s(Sight("a", since_s), now_s, settle_s) == expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=20))
def test_nothing_settles_that_changed_within_the_time(steps):
    """Whatever is looked at and when: what has settled looked the same at each look of the last three seconds."""
    now_s, sight, seen = 0.0, None, []
    for look, pause_s in steps:
        now_s += pause_s
        sight = see(sight, look, now_s)
        seen.append((now_s, look))
        if remaining_s(sight, now_s, 3.0) == 0:
            assert {past for when_s, past in seen if when_s > now_s - 3.0} == {look}
            assert seen[0][0] <= now_s - 3.0
