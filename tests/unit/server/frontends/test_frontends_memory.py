"""Arrays that two processes share: seen by both, and never beyond the memory."""

import mmap
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pasarela_server.processes.framing import BrokenLink
from pasarela_server.processes.memory import SharedMemory, describe, parse_layout

SIZE = 4 * mmap.PAGESIZE


@pytest.fixture(scope="module")
def both_sides():
    fd = os.memfd_create("test")
    os.ftruncate(fd, SIZE)
    sides = SharedMemory(fd, SIZE), SharedMemory(fd, SIZE)
    os.close(fd)
    return sides


@given(arrays.arrays(st.sampled_from(["<f4", "<f2", "|u1", "<i8"]), arrays.array_shapes(min_dims=1, max_side=5)))
def test_an_array_is_the_same_on_the_other_side(both_sides, array):
    here, there = both_sides
    here.write(mmap.PAGESIZE, array)
    found = there.view(mmap.PAGESIZE, describe(array))
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_an_array_that_is_not_contiguous_is_written_as_it_reads(both_sides):
    here, there = both_sides
    array = np.arange(12, dtype=np.int32).reshape(3, 4).T
    here.write(0, array)
    assert there.view(0, describe(array)).tolist() == array.tolist()


@pytest.mark.parametrize(
    ("offset", "layout", "text"),
    [
        pytest.param(SIZE - 4, "<f4:2", "beyond", id="over the end"),
        pytest.param(-4, "<f4:1", "beyond", id="before the beginning"),
        pytest.param(0, "<f4:-1", "plain numbers", id="a size below zero"),
        pytest.param(0, "|O:1", "plain numbers", id="objects, which are addresses"),
        pytest.param(0, "banana:1", "no array", id="no type"),
        pytest.param(0, "<f4:one", "no array", id="no size"),
    ],
)
def test_what_is_no_array_in_the_memory_is_refused(both_sides, offset, layout, text):
    with pytest.raises(BrokenLink, match=text):
        both_sides[0].view(offset, layout)


def test_an_array_without_dimensions():
    assert parse_layout("<f4:") == (np.dtype("<f4"), (), 4)
