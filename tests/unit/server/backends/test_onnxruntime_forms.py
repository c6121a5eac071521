"""Which forms keep their memory on a device."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.backends.onnxruntime_forms import FormKey, Forms


@dataclass
class Block:
    byte_size: int


def key(number: int) -> FormKey:
    return (("<f4", (number,)),)


def put(forms: Forms[Block], number: int, byte_size: int) -> None:
    forms.make_room(byte_size)
    forms.keep(key(number), Block(byte_size))


@pytest.mark.parametrize(
    ("reason", "sizes", "used", "coming", "left"),
    [
        ("there is room", [10, 10], [], 10, {0, 1, 9}),
        ("one too many: the one that was not used for longest goes", [10, 10, 10], [], 10, {1, 2, 9}),
        ("the oldest was used since", [10, 10, 10], [0], 10, {0, 2, 9}),
        ("bytes are short: as many go as it takes", [40, 40, 10], [], 60, {2, 9}),
        ("larger than all may be: it stays alone", [10, 10, 10], [], 500, {9}),
    ],
)
def test_who_is_let_go(reason: str, sizes: list[int], used: list[int], coming: int, left: set[int]) -> None:
    forms: Forms[Block] = Forms(3, 100)
    for number, byte_size in enumerate(sizes):
        put(forms, number, byte_size)
    for number in used:
        assert forms.find(key(number)) is not None, reason
    put(forms, 9, coming)
    assert {number for number in range(10) if forms.find(key(number)) is not None} == left, reason


def test_what_grows_while_it_is_kept_counts_as_large_as_it_is() -> None:
    forms: Forms[Block] = Forms(3, 100)
    put(forms, 0, 10)
    grown = forms.find(key(0))
    assert grown is not None
    grown.byte_size = 95
    assert not forms.have_room(10)
    put(forms, 1, 10)
    assert forms.find(key(0)) is None


def test_what_is_forgotten_makes_room_and_may_be_forgotten_twice() -> None:
    forms: Forms[Block] = Forms(1, 100)
    put(forms, 0, 10)
    assert not forms.have_room(10)
    forms.forget(key(0))
    forms.forget(key(0))
    assert forms.have_room(10)
    put(forms, 1, 10)
    forms.clear()
    assert len(forms) == 0


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 120)), max_size=40))
def test_never_more_than_what_may_be_kept(comings: list[tuple[int, int]]) -> None:
    forms: Forms[Block] = Forms(3, 100)
    for number, byte_size in comings:
        if forms.find(key(number)) is None:
            put(forms, number, byte_size)
        held = [found for one in range(7) if (found := forms.find(key(one))) is not None]
        assert forms.find(key(number)) is not None
        assert len(held) <= 3
        assert len(held) == 1 or sum(block.byte_size for block in held) <= 100
