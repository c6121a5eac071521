import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.dataset.polygons import Polygon, as_polygon, box_polygon, join_polygons, signed_area


def square(left: float, top: float, side: float) -> Polygon:
    return box_polygon(left, top, side, side)


def test_one_polygon_stays_as_it_is() -> None:
    assert join_polygons([square(0, 0, 2)]).tolist() == [[0, 0], [2, 0], [2, 2], [0, 2]]


def test_two_squares_by_hand() -> None:
    # from (2, 0) over to (5, 0), round the second square, and back
    joined = join_polygons([square(0, 0, 2), square(5, 0, 2)])
    assert joined.tolist() == [
        [0, 0], [2, 0], [5, 0], [7, 0], [7, 2], [5, 2], [5, 0], [2, 0], [2, 2], [0, 2],
    ]  # fmt: skip


def test_the_bridges_are_the_shortest() -> None:
    # the far square hangs on the near one, although the near one comes last
    joined = join_polygons([square(0, 0, 1), square(10, 0, 1), square(5, 0, 1)])
    steps = np.abs(np.diff(np.vstack([joined, joined[:1]]), axis=0)).sum(axis=1)
    assert sorted(step for step in steps if step > 1) == [4, 4, 4, 4]


@pytest.mark.parametrize("values", [[0, 0, 2, 0, 2, 2], [0, 0, 2, 2, 2, 0]])
def test_area(values: list[float]) -> None:
    assert abs(signed_area(as_polygon(values))) == 2


corner = st.floats(0, 100, width=32)


@given(st.lists(st.lists(st.tuples(corner, corner), min_size=3, max_size=8), min_size=1, max_size=4))
def test_areas_add_up_and_no_corner_is_lost(given_polygons: list[list[tuple[float, float]]]) -> None:
    polygons = [np.array(polygon, dtype=np.float64) for polygon in given_polygons]
    joined = join_polygons(polygons)
    assert signed_area(joined) == pytest.approx(sum(abs(signed_area(polygon)) for polygon in polygons), abs=1e-6)
    assert {tuple(point) for point in joined} == {tuple(point) for polygon in polygons for point in polygon}
    assert len(joined) == sum(map(len, polygons)) + 2 * (len(polygons) - 1)
