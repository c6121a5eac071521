"""Regions of system memory: what is mapped, read and written, and what is refused."""

import mmap
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.errors import InvalidRequest, RegionUnavailable
from pasarela_server.shared_memory.region import SystemRegion

PAGE = mmap.ALLOCATIONGRANULARITY


def region(item, offset=0, byte_size=None):
    return SystemRegion.open("r", f"/{item.name}", offset, item.size if byte_size is None else byte_size)


def mapped_bytes(name):
    """Sizes of the mappings of an object in this process."""
    with open("/proc/self/maps") as maps:
        ranges = [
            line.split()[0].split("-") for line in maps if line.rstrip().endswith(f"/{name}") and " r--s " in line
        ]
    return [int(end, 16) - int(start, 16) for start, end in ranges]


def test_a_view_shows_what_is_there_now(make_object):
    item = make_object(PAGE)
    view = region(item).read(8, 4)
    assert bytes(view) == bytes(4)

    item.buf[8:12] = b"abcd"

    assert bytes(view) == b"abcd", "nothing was copied"
    assert view.readonly


def test_arrays_over_a_view_are_read_only_and_in_place(make_object):
    item = make_object(PAGE)
    array = np.frombuffer(region(item).read(0, 8), np.float32)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    item.buf[:8] = np.float32([1, 2]).tobytes()
    np.testing.assert_array_equal(array, [1, 2])


def test_what_is_written_is_there_for_the_client(make_object):
    item = make_object(PAGE)
    region(item, offset=16, byte_size=32).write(4, memoryview(b"abcd"))
    assert bytes(item.buf[18:26]) == b"\0\0abcd\0\0"


@settings(deadline=None)
@given(offset=st.integers(0, 3 * PAGE - 1), data=st.data())
def test_any_range_is_read_as_it_was_written(offset, data):
    size = data.draw(st.integers(1, 3 * PAGE - offset))
    start = data.draw(st.integers(0, size - 1))
    contents = data.draw(st.binary(max_size=min(size - start, 64)))
    descriptor = os.memfd_create("object")
    os.truncate(descriptor, 3 * PAGE)
    before = offset % PAGE
    mapping = mmap.mmap(descriptor, before + size, access=mmap.ACCESS_READ, offset=offset - before)
    opened = SystemRegion("r", "k", offset, size, descriptor, mapping)

    opened.write(start, contents)

    assert bytes(opened.read(start, len(contents))) == contents
    assert os.pread(descriptor, len(contents), offset + start) == contents


def test_only_the_range_is_mapped(make_object):
    item = make_object(64 * PAGE)
    opened = region(item, offset=10 * PAGE + 5, byte_size=PAGE)
    assert mapped_bytes(item.name) == [2 * PAGE], "two pages hold the range"
    assert opened.byte_size == PAGE


def test_mapping_and_descriptors_live_until_the_last_view_is_gone(make_object, open_files):
    item = make_object(PAGE)
    before = open_files()
    opened = region(item)
    view = np.frombuffer(opened.read(0, 8), np.uint8)
    item.buf[0] = 7

    del opened
    assert view[0] == 7
    assert mapped_bytes(item.name) == [PAGE]

    del view
    assert mapped_bytes(item.name) == []
    assert open_files() == before


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="no name at all"),
        pytest.param("/", id="a slash and nothing"),
        pytest.param("//x", id="a slash too many"),
        pytest.param("/a/b", id="a path"),
        pytest.param("a/../b", id="a path that goes up"),
        pytest.param("/..", id="the folder above"),
        pytest.param("..", id="the folder above, bare"),
        pytest.param("/.", id="the folder itself"),
        pytest.param("a\0b", id="a name that C would cut off"),
        pytest.param("x" * 256, id="longer than a file name"),
    ],
)
def test_keys_that_are_no_names_are_refused(key):
    with pytest.raises(InvalidRequest, match=r"^shared memory region 'r': expected the name"):
        SystemRegion.open("r", key, 0, 8)


def test_a_key_may_leave_out_the_slash(make_object):
    assert SystemRegion.open("r", make_object(8).name, 0, 8).byte_size == 8


def test_an_object_that_nobody_made_cannot_be_opened():
    with pytest.raises(RegionUnavailable, match="key '/pasarela-none' cannot be opened: No such file") as refusal:
        SystemRegion.open("r", "/pasarela-none", 0, 8)
    assert "/dev" not in str(refusal.value)


@pytest.mark.parametrize(
    ("offset", "byte_size"),
    [
        pytest.param(0, 0, id="nothing"),
        pytest.param(0, 4097, id="one byte too many"),
        pytest.param(4096, 1, id="begins at the end"),
        pytest.param(2**63, 8, id="offset beyond what files have"),
        pytest.param(0, 2**64 - 1, id="size beyond what files have"),
        pytest.param(2**64 - 1, 2**64 - 1, id="a sum that 64 bits do not hold"),
    ],
)
def test_ranges_outside_the_object_are_refused_and_nothing_stays_open(make_object, open_files, offset, byte_size):
    item = make_object(4096)
    before = open_files()
    with pytest.raises(InvalidRequest, match=f"inside the 4096 bytes .* got {byte_size} bytes at offset {offset}"):
        region(item, offset, byte_size)
    assert open_files() == before


def test_an_object_that_was_made_smaller_is_refused_not_touched(make_object):
    item = make_object(4 * PAGE)
    opened = region(item, offset=PAGE, byte_size=2 * PAGE)
    os.truncate(f"/dev/shm/{item.name}", 2 * PAGE)

    assert bytes(opened.read(0, 8)) == bytes(8), "this part is still there"
    for use in (lambda: opened.read(PAGE, 8), lambda: opened.write(PAGE, b"12345678")):
        with pytest.raises(InvalidRequest, match=rf"made smaller .* at least {2 * PAGE + 8} bytes, it has {2 * PAGE}"):
            use()


def test_an_object_whose_name_is_gone_is_still_there(make_object):
    item = make_object(8)
    opened = region(item)
    file = Path("/dev/shm", item.name)
    file.unlink()
    item.buf[:2] = b"ab"
    assert bytes(opened.read(0, 2)) == b"ab"
    with pytest.raises(RegionUnavailable):
        region(item)
    file.touch()  # for the fixture, which unlinks it


def test_many_threads_read_and_write_their_parts(make_object):
    item = make_object(8 * 1024)
    opened = region(item)
    failures = []

    def use(number):
        for _ in range(200):
            opened.write(number * 1024, bytes([number]) * 1024)
            if bytes(opened.read(number * 1024, 1024)) != bytes([number]) * 1024:
                failures.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
