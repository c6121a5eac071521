import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.dataset.split import split_shuffled, split_sizes


@pytest.mark.parametrize(
    ("total", "sizes"),
    [
        (10, [7, 2, 1]),  # reason: exact
        (3600, [2520, 720, 360]),  # reason: exact, the shipped model's
        (30, [21, 6, 3]),  # reason: exact, the tests'
        (11, [8, 2, 1]),  # reason: 7.7, 2.2, 1.1: the largest remainder gets the one left over
        (3, [1, 1, 1]),  # reason: 2.1, 0.6, 0.3: no part stays empty
        (4, [2, 1, 1]),  # reason: 2.8, 0.8, 0.4: the largest part gives one to the empty one
    ],
)
def test_sizes_follow_the_ratios(total: int, sizes: list[int]) -> None:
    assert split_sizes(total, (7, 2, 1)) == sizes


@given(st.integers(3, 10_000))
def test_sizes_add_up_and_stray_from_the_ratios_by_less_than_two(total: int) -> None:
    sizes = split_sizes(total, (7, 2, 1))
    assert sum(sizes) == total
    assert all(size >= 1 for size in sizes)
    assert all(abs(size - total * ratio / 10) < 2 for size, ratio in zip(sizes, (7, 2, 1), strict=True))


def test_fewer_than_the_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="3 parts"):
        split_sizes(2, (7, 2, 1))


@given(st.integers(3, 200), st.integers(0, 1000))
def test_every_element_goes_to_one_part_and_the_seed_decides_which(total: int, seed: int) -> None:
    elements = list(range(total))
    parts = split_shuffled(elements, elements, (7, 2, 1), seed)
    assert sorted(element for part in parts for element in part) == elements
    assert [len(part) for part in parts] == split_sizes(total, (7, 2, 1))
    assert parts == split_shuffled(elements, elements, (7, 2, 1), seed)


def test_another_seed_gives_other_parts() -> None:
    elements = list(range(100))
    assert split_shuffled(elements, elements, (7, 2, 1), 1) != split_shuffled(elements, elements, (7, 2, 1), 2)


def test_it_is_a_shuffle_and_no_cut() -> None:
    elements = list(range(1000))
    train, _, test = split_shuffled(elements, elements, (7, 2, 1), 0)
    assert min(test) < 100
    assert max(train) > 900


@given(st.lists(st.integers(0, 30), min_size=3, max_size=200), st.integers(0, 50))
def test_a_group_is_never_divided(groups: list[int], seed: int) -> None:
    if len(set(groups)) < 3:
        with pytest.raises(ValueError, match="groups"):
            split_shuffled(range(len(groups)), groups, (7, 2, 1), seed)
        return
    parts = split_shuffled(range(len(groups)), groups, (7, 2, 1), seed)
    sides = [{groups[element] for element in part} for part in parts]
    assert all(sides)
    assert sum(len(side) for side in sides) == len(set(groups))


def test_a_limit_takes_so_many() -> None:
    elements = list(range(100))
    assert sum(len(part) for part in split_shuffled(elements, elements, (7, 2, 1), 0, limit=40)) == 40
