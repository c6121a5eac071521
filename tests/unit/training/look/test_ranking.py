"""What counts as a mistake, and which images come first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.look.ranking import Labelled, Mistakes, iou, mistakes, worst_first

HERE = (10.0, 10.0, 100.0, 100.0)
NEAR = (15.0, 10.0, 100.0, 100.0)
FAR = (300.0, 10.0, 100.0, 100.0)
T, F, W = Labelled(HERE, 1), Labelled(FAR, 1, 0.9), Labelled(NEAR, 2, 0.8)


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([], [], Mistakes(0, 0, 0)),  # reason: nothing there, nothing found
        ([T], [Labelled(NEAR, 1, 0.5)], Mistakes(0, 0, 0)),  # reason: found, if not exactly
        ([T], [], Mistakes(1, 0, 0)),  # reason: missed
        ([], [F], Mistakes(0, 1, 0)),  # reason: a false alarm
        ([T], [F], Mistakes(1, 1, 0)),  # reason: beside the box is both
        ([T], [W], Mistakes(0, 0, 1)),  # reason: found, but called something else: one mistake, not two
        ([T], [Labelled(NEAR, 1, 0.5), W], Mistakes(0, 1, 0)),  # reason: the right class has the box despite its score
        ([T], [Labelled(HERE, 1, 0.5), Labelled(NEAR, 1, 0.9)], Mistakes(0, 1, 0)),  # reason: found twice
        ([T, Labelled(NEAR, 1)], [Labelled(HERE, 1, 0.5)], Mistakes(1, 0, 0)),  # reason: one detection covers one box
    ],
)
def test_mistakes(truth: list[Labelled], found: list[Labelled], expected: Mistakes) -> None:
    assert mistakes(truth, found) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (HERE, HERE, 1.0),  # reason: the same
        (HERE, FAR, 0.0),  # reason: apart
        ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),  # reason: half of each
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),  # reason: no area to divide by
    ],
)
def test_iou(one: tuple[float, float, float, float], other: tuple[float, float, float, float], expected: float) -> None:
    assert iou(one, other) == pytest.approx(expected)


def test_worst_first() -> None:
    images = {
        4: Mistakes(0, 2, 0),
        3: Mistakes(2, 0, 0),
        2: Mistakes(0, 0, 0),
        1: Mistakes(0, 1, 2),
        5: Mistakes(2, 0, 0),
    }
    assert worst_first(images) == [1, 3, 5, 4, 2]


BOXES = st.builds(
    Labelled,
    st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(0, 50)] * 2),
    st.integers(1, 3),
    st.floats(0, 1),
)


@given(st.lists(BOXES, max_size=6), st.lists(BOXES, max_size=6))
def test_every_box_is_counted_once(truth: list[Labelled], found: list[Labelled]) -> None:
    wrong = mistakes(truth, found)
    right = len(truth) - wrong.missed - wrong.wrong_class
    assert min(wrong.missed, wrong.false_alarms, wrong.wrong_class, right) >= 0
    assert right + wrong.wrong_class + wrong.false_alarms == len(found)
