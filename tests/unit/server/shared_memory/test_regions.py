"""Regions by name: registered once, forgotten while in use, of two kinds with one set of names."""

import contextlib
import threading

import numpy as np
import pytest

from pasarela_server.errors import InvalidRequest, RegionExists, RegionNotFound
from pasarela_server.shared_memory.device import DeviceRegion
from pasarela_server.shared_memory.region import SystemRegion
from pasarela_server.shared_memory.regions import Regions

WHERE = "model 'm', input 'x'"


class FakeDevice:
    """A device whose memory is one array; handles are offsets into it."""

    def __init__(self, size=64):
        self.memory = np.zeros(size, np.uint8)
        self.closed = []

    def open(self, handle, device_id):
        address = int.from_bytes(handle, "little")
        return address, self.memory.size - address

    def close(self, address, device_id):
        self.closed.append((address, device_id))

    def read(self, address, device_id, byte_size):
        return memoryview(self.memory[address : address + byte_size].tobytes())

    def write(self, address, device_id, contents):
        self.memory[address : address + len(contents)] = np.frombuffer(contents, np.uint8)


@pytest.fixture
def regions():
    return Regions(max_regions=4)


def register(regions, name, item, byte_size=None):
    size = item.size if byte_size is None else byte_size
    regions.register(name, lambda: SystemRegion.open(name, item.name, 0, size))


def register_device(regions, name, device, address=0, byte_size=16):
    handle = address.to_bytes(8, "little")
    regions.register(name, lambda: DeviceRegion.open(device, name, handle, 1, byte_size))


def test_status_tells_all_or_one(regions, make_object):
    register(regions, "a", make_object(8))
    register(regions, "b", make_object(16))
    assert [(region.name, region.byte_size) for region in regions.status(SystemRegion)] == [("a", 8), ("b", 16)]
    assert [region.name for region in regions.status(SystemRegion, "b")] == ["b"]
    assert regions.status(DeviceRegion) == ()
    with pytest.raises(RegionNotFound, match="no system shared memory region 'c'"):
        regions.status(SystemRegion, "c")
    with pytest.raises(RegionNotFound, match="no CUDA shared memory region 'a'"):
        regions.status(DeviceRegion, "a")


def test_a_name_is_taken_once_and_free_again_when_it_is_forgotten(regions, make_object):
    item = make_object(8)
    register(regions, "a", item)
    with pytest.raises(RegionExists, match="'a' is already registered, in system memory"):
        register(regions, "a", make_object(16))
    with pytest.raises(RegionExists):
        register_device(regions, "a", FakeDevice())
    regions.unregister(SystemRegion, "a")
    register(regions, "a", item)
    assert [region.byte_size for region in regions.status(SystemRegion)] == [8]


def test_a_taken_name_is_told_before_the_object_is_looked_for(regions, make_object):
    register(regions, "a", make_object(8))
    with pytest.raises(RegionExists):
        regions.register("a", lambda: SystemRegion.open("a", "/pasarela-none", 0, 8))


@pytest.mark.parametrize(
    ("kind", "name", "left"),
    [
        pytest.param(SystemRegion, "a", ["b", "d"], id="one"),
        pytest.param(SystemRegion, "", ["d"], id="all of a kind"),
        pytest.param(SystemRegion, "z", ["a", "b", "d"], id="an unknown name is no error"),
        pytest.param(SystemRegion, "d", ["a", "b", "d"], id="a name of the other kind"),
        pytest.param(DeviceRegion, "", ["a", "b"], id="all of the other kind"),
    ],
)
def test_unregister(regions, make_object, kind, name, left):
    register(regions, "a", make_object(8))
    register(regions, "b", make_object(8))
    register_device(regions, "d", FakeDevice())

    regions.unregister(kind, name)

    found = (*regions.status(SystemRegion), *regions.status(DeviceRegion))
    assert [region.name for region in found] == left


def test_a_placement_outlives_the_registration(regions, make_object):
    item = make_object(64)
    register(regions, "a", item)
    placement = regions.place(WHERE, "a", 8, 8)
    regions.unregister(SystemRegion)

    item.buf[8:16] = b"abcdefgh"
    assert bytes(placement.read()) == b"abcdefgh"
    placement.write(WHERE, b"xy")
    assert bytes(item.buf[8:12]) == b"xycd"


@pytest.mark.parametrize(
    ("name", "offset", "byte_size", "message"),
    [
        pytest.param("a", 0, 65, "inside the 64 bytes .* got 65 bytes at offset 0", id="too long"),
        pytest.param("a", 60, 8, "got 8 bytes at offset 60", id="runs over the end"),
        pytest.param("a", 2**62, 2**62, "at offset", id="absurd"),
        pytest.param("a", -8, 8, "at offset -8", id="begins before the region"),
        pytest.param("a", 8, -8, "got -8 bytes", id="a negative length"),
    ],
)
def test_ranges_that_are_not_there_are_refused(regions, make_object, name, offset, byte_size, message):
    item = make_object(128)
    register(regions, "a", item, byte_size=64)
    with pytest.raises(InvalidRequest, match=f"^{WHERE}: .*{message}"):
        regions.place(WHERE, name, offset, byte_size)


def test_too_little_room_is_told_in_bytes(regions, make_object):
    register(regions, "a", make_object(64))
    placement = regions.place(WHERE, "a", 0, 4)
    with pytest.raises(InvalidRequest, match=r"room for 5 bytes in shared memory region 'a', got .*byte_size 4"):
        placement.write(WHERE, b"12345")
    placement.write(WHERE, b"1234")


def test_there_is_an_end_to_names(regions, make_object):
    item = make_object(8)
    for name in "abcd":
        register(regions, name, item)
    with pytest.raises(InvalidRequest, match="at most 4 regions"):
        register(regions, "e", item)
    with pytest.raises(InvalidRequest, match="a name for the region"):
        register(regions, "", item)


def test_a_region_that_cannot_be_opened_leaves_its_name_free(regions, make_object):
    with pytest.raises(InvalidRequest):
        register(regions, "a", make_object(8), byte_size=9)
    register(regions, "a", make_object(8))


def test_device_memory_is_copied_both_ways_and_closed_with_its_last_use(regions):
    device = FakeDevice()
    register_device(regions, "d", device, address=32)
    placement = regions.place(WHERE, "d", 4, 8)
    device.memory[36:38] = (1, 2)
    assert bytes(placement.read()) == b"\x01\x02" + bytes(6)
    placement.write(WHERE, b"\x05")
    assert device.memory[36] == 5

    regions.unregister(DeviceRegion, "d")
    assert device.closed == []
    del placement
    assert device.closed == [(32, 1)]


def test_device_memory_smaller_than_the_region_is_refused_and_closed(regions):
    device = FakeDevice(size=64)
    with pytest.raises(InvalidRequest, match=r"from 1 to 32 bytes, .* got 33"):
        register_device(regions, "d", device, address=32, byte_size=33)
    assert device.closed == [(32, 1)]


def test_a_name_that_nobody_registered_is_not_found(regions):
    with pytest.raises(RegionNotFound, match=f"^{WHERE}: .*got 'b', which is none"):
        regions.place(WHERE, "b", 0, 8)


def test_threads_that_register_and_forget_never_meet_a_broken_region(make_object):
    regions, item = Regions(), make_object(64)
    failures = []

    def use(number):
        for _ in range(200):
            name = f"r{number % 2}"
            with contextlib.suppress(RegionExists):
                register(regions, name, item)
            try:
                bytes(regions.place(WHERE, name, 0, 64).read())
            except RegionNotFound:
                pass  # another thread was quicker
            except InvalidRequest as error:
                failures.append(error)
            regions.unregister(SystemRegion, name)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert regions.status(SystemRegion) == ()


def test_there_is_an_end_to_a_name(regions):
    regions_opened = []
    with pytest.raises(InvalidRequest, match="at most 1024 characters, got 1025"):
        regions.register("n" * 1025, lambda: regions_opened.append(1))
    assert not regions_opened
