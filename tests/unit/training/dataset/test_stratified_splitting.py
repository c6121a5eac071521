from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.dataset.stratify import Group, balanced_choice, proportional_choice, stratified_parts

RATIOS = (7, 2, 1)
groups = st.lists(
    st.builds(Group, st.integers(1, 5), st.dictionaries(st.integers(1, 6), st.integers(1, 4), max_size=3)),
    min_size=3,
    max_size=120,
)
images = st.lists(st.builds(Group, st.just(1), st.dictionaries(st.integers(1, 5), st.just(1), max_size=1)), min_size=3)


@given(groups, st.integers(0, 20))
def test_every_group_goes_to_one_part_and_the_seed_decides_which(population: list[Group], seed: int) -> None:
    parts = stratified_parts(population, RATIOS, seed)
    assert sorted(index for part in parts for index in part) == list(range(len(population)))
    assert all(parts)
    assert parts == stratified_parts(population, RATIOS, seed)


@given(groups, st.integers(0, 20))
def test_sizes_stay_close_to_the_ratios(population: list[Group], seed: int) -> None:
    total = sum(group.size for group in population)
    for part, ratio in zip(stratified_parts(population, RATIOS, seed), RATIOS, strict=True):
        # One group more or less, of at most five images.
        assert abs(sum(population[index].size for index in part) - total * ratio / 10) <= 7


@given(images, st.integers(0, 20))
def test_each_class_is_divided_in_its_share(population: list[Group], seed: int) -> None:
    totals = Counter(one for group in population for one in group.classes)
    for part, ratio in zip(stratified_parts(population, RATIOS, seed), RATIOS, strict=True):
        found = Counter(one for index in part for one in population[index].classes)
        for one, total in totals.items():
            # Whole images only, and the last class takes the room that the others' rounding left.
            assert abs(found[one] - total * ratio / 10) <= 1 + len(totals)


def test_a_rare_class_reaches_every_part() -> None:
    population = [Group(1, {1: 1}) for _ in range(990)] + [Group(1, {2: 1}) for _ in range(10)]
    parts = stratified_parts(population, RATIOS, 0)
    assert [sum(1 for index in part if index >= 990) for part in parts] == [7, 2, 1]
    assert [len(part) for part in parts] == [700, 200, 100]


def test_the_result_is_the_same_on_every_machine() -> None:
    population = [Group(1 + number % 3, {1 + number % 5: 1, 1 + number % 2: 2}) for number in range(30)]
    assert stratified_parts(population, RATIOS, 5)[1:] == [[5, 14, 15, 16, 23, 27], [8, 19, 22]]


def test_fewer_groups_than_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups"):
        stratified_parts([Group(4, {1: 1})] * 2, RATIOS, 0)


@given(images, st.integers(0, 20), st.data())
def test_a_choice_has_as_many_images_as_asked(population: list[Group], seed: int, data: st.DataObject) -> None:
    limit = data.draw(st.integers(1, len(population)))
    for choose in (proportional_choice, balanced_choice):
        taken = choose(population, limit, seed)
        assert len(taken) == len(set(taken)) == limit


def test_a_balanced_choice_takes_the_rare_classes_first() -> None:
    population = [Group(1, {1: 1}) for _ in range(900)] + [Group(1, {2: 1}) for _ in range(20)]
    population += [Group(1, {3: 1}) for _ in range(80)]
    found = Counter(one for index in balanced_choice(population, 90, 3) for one in population[index].classes)
    assert found == {1: 35, 2: 20, 3: 35}
    plain = Counter(one for index in proportional_choice(population, 100, 3) for one in population[index].classes)
    assert plain == {1: 90, 2: 2, 3: 8}
