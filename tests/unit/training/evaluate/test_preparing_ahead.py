import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.evaluate.measure import ahead


@given(st.lists(st.integers()), st.integers(1, 6))
def test_everything_comes_once_and_in_order(elements: list[int], count: int) -> None:
    assert list(ahead(lambda element: element + 1, elements, count)) == [element + 1 for element in elements]


@given(st.integers(1, 6), st.integers(0, 20))
def test_no_more_than_so_many_are_prepared_before_they_are_wanted(count: int, length: int) -> None:
    prepared: list[int] = []

    def prepare(element: int) -> int:
        prepared.append(element)
        return element

    for taken in ahead(prepare, range(length), count):
        assert len(prepared) <= taken + count


def test_preparing_is_done_on_one_other_thread() -> None:
    threads = set(ahead(lambda _: threading.get_ident(), range(10)))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_goes_wrong_arrives_in_its_turn_and_ends_it() -> None:
    def prepare(element: int) -> int:
        if element == 3:
            raise ValueError("the third")
        return element

    taken: list[int] = []
    with pytest.raises(ValueError, match="the third"):
        taken.extend(ahead(prepare, range(10)))
    assert taken == [0, 1, 2]


def test_the_thread_ends_when_the_consumer_leaves() -> None:
    before = threading.active_count()
    results = ahead(lambda element: element, range(1000))
    assert next(results) == 0
    assert threading.active_count() == before + 1
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
