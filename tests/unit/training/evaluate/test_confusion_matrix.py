from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.evaluate.confusion import as_boxes, box_iou, confusion_matrix, match_boxes

Box = tuple[float, float, float, float]
LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 10.0, 10.0)
VEST, SLING = 3, 7
"""Category ids with a gap: places in the matrix are 0 and 1, and 2 for nothing."""

boxes = st.lists(st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(0, 12)] * 2), max_size=6)


def truth(category: int, box: Box, image: int = 1, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": list(box), **more}


def found(category: int, box: Box, score: float = 0.9, image: int = 1) -> dict[str, Any]:
    return truth(category, box, image, score=score)


def matrix_of(annotations: list[dict[str, Any]], results: list[dict[str, Any]]) -> list[list[int]]:
    document = {"categories": [{"id": VEST, "name": "vest"}, {"id": SLING, "name": "sling"}], "images": []}
    counts: list[list[int]] = confusion_matrix(document | {"annotations": annotations}, results, 0.25).tolist()
    return counts


CASES: list[tuple[list[dict[str, Any]], list[dict[str, Any]], list[list[int]]]] = [
    # reason: nothing there, nothing found
    ([], [], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    # reason: found as what it is
    ([truth(VEST, LEFT)], [found(VEST, LEFT)], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]),
    # reason: rows are true classes, columns found ones
    ([truth(VEST, LEFT)], [found(SLING, LEFT)], [[0, 1, 0], [0, 0, 0], [0, 0, 0]]),
    # reason: missed
    ([truth(SLING, LEFT)], [], [[0, 0, 0], [0, 0, 1], [0, 0, 0]]),
    # reason: a false alarm
    ([], [found(SLING, LEFT)], [[0, 0, 0], [0, 0, 0], [0, 1, 0]]),
    # reason: elsewhere on the image: one missed and one false alarm
    ([truth(VEST, LEFT)], [found(VEST, RIGHT)], [[0, 0, 1], [0, 0, 0], [1, 0, 0]]),
    # reason: the same place on another image
    ([truth(VEST, LEFT, 1)], [found(VEST, LEFT, image=2)], [[0, 0, 1], [0, 0, 0], [1, 0, 0]]),
    # reason: a score below the one that is shown counts as not found
    ([truth(VEST, LEFT)], [found(VEST, LEFT, 0.2)], [[0, 0, 1], [0, 0, 0], [0, 0, 0]]),
    # reason: a score at the limit counts
    ([truth(VEST, LEFT)], [found(VEST, LEFT, 0.25)], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]),
    # reason: a box is taken once, a second detection of it is a false alarm
    ([truth(VEST, LEFT)], [found(VEST, LEFT), found(VEST, LEFT)], [[1, 0, 0], [0, 0, 0], [1, 0, 0]]),
    # reason: a crowd need not be found
    ([truth(VEST, LEFT, iscrowd=1)], [], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    # reason: what is found in a crowd is no false alarm, however small and whatever its class
    ([truth(VEST, LEFT, iscrowd=1)], [found(SLING, (1, 1, 2, 2))], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    # reason: half of the detection's own area is enough
    ([truth(VEST, LEFT, iscrowd=1)], [found(VEST, (5, 0, 10, 10))], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    # reason: less than half of it is not
    ([truth(VEST, LEFT, iscrowd=1)], [found(VEST, (6, 0, 10, 10))], [[0, 0, 0], [0, 0, 0], [1, 0, 0]]),
    # reason: a crowd on another image excuses nothing
    ([truth(VEST, LEFT, 2, iscrowd=1)], [found(VEST, LEFT)], [[0, 0, 0], [0, 0, 0], [1, 0, 0]]),
    # reason: a box within a crowd is found all the same
    (
        [truth(VEST, LEFT), truth(SLING, (0, 0, 60, 20), iscrowd=1)],
        [found(VEST, LEFT), found(SLING, RIGHT)],
        [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
    ),
    # reason: a detection without area lies in no crowd
    ([truth(VEST, LEFT, iscrowd=1)], [found(VEST, (1, 1, 0, 4))], [[0, 0, 0], [0, 0, 0], [1, 0, 0]]),
]


@pytest.mark.parametrize(("annotations", "results", "expected"), CASES)
def test_pairs_misses_and_false_alarms_are_counted(
    annotations: list[dict[str, Any]], results: list[dict[str, Any]], expected: list[list[int]]
) -> None:
    assert matrix_of(annotations, results) == expected


@given(
    st.lists(st.tuples(st.sampled_from([VEST, SLING]), st.tuples(*[st.integers(0, 12)] * 4)), max_size=6),
    st.lists(st.tuples(st.sampled_from([VEST, SLING]), st.tuples(*[st.integers(0, 12)] * 4)), max_size=6),
)
def test_rows_add_up_to_the_boxes_and_columns_to_the_detections(
    there: list[tuple[int, Box]], seen: list[tuple[int, Box]]
) -> None:
    matrix = np.array(matrix_of([truth(*one) for one in there], [found(*one) for one in seen]))
    for place, category in enumerate((VEST, SLING)):
        assert matrix[place].sum() == sum(one == category for one, _ in there)
        assert matrix[:, place].sum() == sum(one == category for one, _ in seen)
    assert matrix[-1, -1] == 0


@pytest.mark.parametrize(
    ("there", "seen", "pairs"),
    [
        ([], [], []),  # reason: nothing on either side
        ([LEFT], [], []),  # reason: nothing to pair with
        ([LEFT], [(0, 0, 10, 5)], [(0, 0)]),  # reason: an overlap of a half is enough
        ([LEFT], [(0, 0, 10, 4.9)], []),  # reason: less is not
        ([LEFT], [(0, 0, 10, 8), (0, 0, 10, 9)], [(0, 1)]),  # reason: the larger overlap wins, not the first
        ([LEFT, LEFT], [LEFT, LEFT], [(0, 0), (1, 1)]),  # reason: equals pair in their order
        # reason: the best pair of all comes first, though the first box would have liked its detection
        ([(0, 0, 10, 8), (0, 0, 10, 10)], [(0, 0, 10, 10), (0, 0, 10, 6)], [(1, 0), (0, 1)]),
        ([(0, 0, 0, 0)], [(0, 0, 0, 0)], []),  # reason: boxes without area overlap with nothing
    ],
)
def test_the_largest_overlap_is_taken_first(there: list[Box], seen: list[Box], pairs: list[tuple[int, int]]) -> None:
    assert match_boxes(_array(there), _array(seen)) == pairs


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (LEFT, LEFT, 1.0),  # reason: the same box
        (LEFT, RIGHT, 0.0),  # reason: apart
        (LEFT, (10, 0, 10, 10), 0.0),  # reason: touching
        (LEFT, (5, 0, 10, 10), 1 / 3),  # reason: half over
        (LEFT, (2, 2, 5, 4), 0.2),  # reason: inside
        ((0, 0, 0, 10), LEFT, 0.0),  # reason: no width
    ],
)
def test_intersection_over_union(first: Box, second: Box, expected: float) -> None:
    assert box_iou(_array([first]), _array([second])) == pytest.approx(np.array([[expected]]))


@given(boxes, boxes)
def test_overlaps_do_not_depend_on_the_order_and_stay_from_zero_to_one(first: list[Box], second: list[Box]) -> None:
    overlaps = box_iou(_array(first), _array(second))
    assert overlaps.shape == (len(first), len(second))
    assert np.array_equal(overlaps, box_iou(_array(second), _array(first)).T)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()


def _array(entries: list[Box]) -> np.ndarray:
    return as_boxes([{"bbox": entry} for entry in entries])
