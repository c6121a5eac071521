import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client.labels import Rectangle, place_labels
from pasarela_client.palette import class_colour, contrast_ratio, text_colour

PICTURE = (200, 100)
SIZE = (50, 10)


@pytest.mark.parametrize(
    ("box", "place"),
    [
        (Rectangle(20, 30, 120, 90), (20, 20)),
        (Rectangle(20, 5, 120, 90), (20, 5)),
        (Rectangle(180, 30, 200, 90), (150, 20)),
        (Rectangle(-40, 30, 60, 90), (0, 20)),
        (Rectangle(20, 0, 120, 5), (20, 0)),
    ],
    ids=["above the box", "inside, no room above", "pushed in from the right", "pushed in from the left", "flat box"],
)
def test_where_one_label_goes(box: Rectangle, place: tuple[int, int]) -> None:
    (label,) = place_labels([box], [SIZE], PICTURE)
    assert (label.left, label.top) == place


def test_the_first_box_chooses_first_and_the_second_gives_way() -> None:
    box = Rectangle(20, 30, 120, 90)
    first, second = place_labels([box, box], [SIZE, SIZE], PICTURE)
    assert (first.left, first.top) == (20, 20)
    assert first.overlap(second) == 0


@given(
    st.lists(
        st.tuples(st.integers(-50, 250), st.integers(-50, 150), st.integers(1, 200), st.integers(1, 100)), max_size=12
    ),
    st.integers(1, 200),
    st.integers(1, 100),
)
def test_labels_are_always_inside_the_picture(boxes: list[tuple[int, int, int, int]], width: int, height: int) -> None:
    rectangles = [Rectangle(left, top, left + wide, top + high) for left, top, wide, high in boxes]
    for label in place_labels(rectangles, [(width, height)] * len(boxes), PICTURE):
        assert 0 <= label.left < label.right <= PICTURE[0]
        assert 0 <= label.top < label.bottom <= PICTURE[1]
        assert (label.right - label.left, label.bottom - label.top) == (width, height)


def test_ten_labels_for_one_place_fill_the_column() -> None:
    labels = place_labels([Rectangle(0, 0, 50, 100)] * 10, [SIZE] * 10, PICTURE)
    assert all(one.overlap(other) == 0 for one, other in itertools.combinations(labels, 2))


def test_colours_are_stable_and_different() -> None:
    assert class_colour(0) == (230, 25, 75)
    assert len({class_colour(class_id) for class_id in range(100)}) == 100


@pytest.mark.parametrize("class_id", range(100))
def test_text_is_readable_on_every_colour(class_id: int) -> None:
    background = class_colour(class_id)
    assert contrast_ratio(text_colour(background), background) >= 4.5
