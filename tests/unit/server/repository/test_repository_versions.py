"""The version policy as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.config.model import AllVersions, Latest, Specific, VersionPolicy
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.versions import choose_versions


@pytest.mark.parametrize(
    ("on_disk", "policy", "expected"),
    [
        pytest.param([1], Latest(), (1,), id="the only one"),
        pytest.param([2, 10, 9], Latest(), (10,), id="highest by number"),
        pytest.param([1, 2, 3], Latest(2), (2, 3), id="the two highest"),
        pytest.param([1, 2], Latest(5), (1, 2), id="as many as there are"),
        pytest.param([3, 1], AllVersions(), (1, 3), id="all, lowest first"),
        pytest.param([1, 2, 3], Specific(frozenset({3, 1})), (1, 3), id="those that are named"),
    ],
)
def test_choice(on_disk: list[int], policy: VersionPolicy, expected: tuple[int, ...]) -> None:
    assert choose_versions(on_disk, policy) == expected


@pytest.mark.parametrize(
    ("on_disk", "policy", "expected"),
    [
        pytest.param([], Latest(), "there is no version; put the model file into a folder named 1", id="nothing there"),
        pytest.param([], AllVersions(), "there is no version", id="all of nothing"),
        pytest.param([1, 2], Specific(frozenset({2, 5})), "names 5, but there is only 1, 2", id="one is missing"),
    ],
)
def test_nothing_to_load(on_disk: list[int], policy: VersionPolicy, expected: str) -> None:
    with pytest.raises(InvalidModel, match=expected):
        choose_versions(on_disk, policy)


@given(on_disk=st.sets(st.integers(1, 1000), min_size=1), count=st.integers(1, 20))
def test_latest_leaves_out_no_higher_version(on_disk: set[int], count: int) -> None:
    chosen = choose_versions(on_disk, Latest(count))

    assert len(chosen) == min(count, len(on_disk))
    assert all(left_out < chosen[0] for left_out in on_disk - set(chosen))
