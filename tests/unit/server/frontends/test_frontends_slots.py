"""No part of the memory is handed out twice, each is freed exactly once, and all of it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.frontends.slots import Slots

PAGE = 4096
SIZE = 16 * PAGE

# A number takes so many bytes; None frees one of those that are taken.
STEPS = st.lists(st.one_of(st.integers(0, 6 * PAGE), st.none()), max_size=60)


@given(STEPS, st.randoms(use_true_random=False))
def test_ranges_never_overlap_and_everything_comes_back(steps, chance):
    slots = Slots(SIZE)
    taken = {}
    for size in steps:
        if size is None:
            if taken:
                start = chance.choice(sorted(taken))
                slots.give_back(start)
                del taken[start]
            continue
        start = slots.take(size)
        if start is None:
            gaps = _gaps(taken)
            assert max(gaps, default=0) < size or not gaps, "there was room"
            continue
        assert 0 <= start <= start + size <= SIZE
        assert all(start >= other + length or start + max(size, 1) <= other for other, length in taken.items())
        taken[start] = -(-max(size, 1) // PAGE) * PAGE
    assert slots.taken == len(taken)
    for start in taken:
        slots.give_back(start)
    assert slots.take(SIZE) == 0, "what was freed has grown together again"


def _gaps(taken):
    edges = [0, *(edge for start in sorted(taken) for edge in (start, start + taken[start])), SIZE]
    return [stop - start for start, stop in zip(edges[::2], edges[1::2], strict=True) if stop > start]


def test_what_is_not_taken_cannot_be_given_back():
    slots = Slots(SIZE)
    start = slots.take(1)
    slots.give_back(start)
    with pytest.raises(ValueError, match="no range"):
        slots.give_back(start)


@pytest.mark.parametrize("size", [0, -PAGE, 100])
def test_a_size_that_is_no_whole_pages_is_refused(size):
    with pytest.raises(ValueError, match="multiple"):
        Slots(size)
