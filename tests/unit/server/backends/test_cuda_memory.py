"""The CUDA runtime as it is called, on a made-up library whose device memory is this process's own."""

# ruff: noqa: N802 - the names of CUDA

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from pasarela_server.backends.cuda import CudaMemory, find_cuda_memory
from pasarela_server.errors import InvalidRequest, RegionUnavailable

HANDLE = bytes(range(64))


class FakeCuda:
    """libcudart and libcuda with one buffer on device 1 of 2; `failing` names functions that fail."""

    def __init__(self):
        self.buffer = np.zeros(32, np.uint8)
        self.calls = []
        self.failing = set()
        names = (
            "cudaGetDeviceCount",
            "cudaSetDevice",
            "cudaIpcOpenMemHandle",
            "cudaIpcCloseMemHandle",
            "cudaMemcpy",
            "cudaStreamSynchronize",
        )
        self.runtime = SimpleNamespace(**{name: self._noted(name) for name in names})
        self.runtime.cudaGetErrorString = lambda code: b"reason %d" % code
        self.driver = SimpleNamespace(cuMemGetAddressRange_v2=self._noted("cuMemGetAddressRange_v2"))
        self.memory = CudaMemory(self.runtime, self.driver)

    def _noted(self, name):
        def call(*arguments):
            if name in self.failing:
                return 7
            self.calls.append(name)
            return getattr(self, name)(*arguments) or 0

        return call

    def cudaGetDeviceCount(self, count):
        count._obj.value = 2

    def cudaSetDevice(self, device_id):
        assert device_id == 1

    def cudaIpcOpenMemHandle(self, address, handle, flags):
        assert bytes(handle.reserved) == HANDLE
        assert flags == 1
        address._obj.value = self.buffer.ctypes.data

    def cuMemGetAddressRange_v2(self, base, size, address):
        assert address.value == self.buffer.ctypes.data
        base._obj.value, size._obj.value = self.buffer.ctypes.data, self.buffer.nbytes

    def cudaIpcCloseMemHandle(self, address):
        assert address == self.buffer.ctypes.data

    def cudaStreamSynchronize(self, stream):
        assert stream is None

    def cudaMemcpy(self, target, source, byte_size, direction):
        inside = range(self.buffer.ctypes.data, self.buffer.ctypes.data + self.buffer.nbytes + 1)
        assert (source if direction == 2 else target) in inside, "1 is to the device, 2 from it"
        ctypes.memmove(target, source, byte_size)


@pytest.fixture
def cuda():
    return FakeCuda()


def test_open_tells_address_and_size(cuda):
    assert cuda.memory.open(HANDLE, 1) == (cuda.buffer.ctypes.data, 32)


def test_bytes_go_both_ways(cuda):
    address, _ = cuda.memory.open(HANDLE, 1)
    cuda.memory.write(address + 4, 1, memoryview(b"abcd"))
    assert cuda.buffer[4:8].tobytes() == b"abcd"
    found = cuda.memory.read(address + 2, 1, 8)
    assert bytes(found) == b"\0\0abcd\0\0"
    assert found.readonly
    assert bytes(cuda.memory.read(address, 1, 0)) == b""
    cuda.memory.write(address, 1, b"")
    cuda.memory.close(address, 1)
    assert cuda.calls[-2:] == ["cudaSetDevice", "cudaIpcCloseMemHandle"]


@pytest.mark.parametrize(
    ("handle", "device_id", "failing", "message"),
    [
        pytest.param(b"short", 1, None, "a handle of 64 bytes, got 5", id="no handle"),
        pytest.param(HANDLE, 2, None, "one of the server's 2 devices", id="a device too many"),
        pytest.param(HANDLE, -1, None, "one of the server's 2 devices", id="negative device"),
        pytest.param(HANDLE, 1, "cudaSetDevice", "cannot be opened: reason 7", id="device is lost"),
        pytest.param(HANDLE, 1, "cudaIpcOpenMemHandle", "cannot be opened: reason 7", id="handle of another process"),
        pytest.param(HANDLE, 1, "cuMemGetAddressRange_v2", "the size .* cannot be had", id="size unknown"),
    ],
)
def test_what_cannot_be_opened_is_refused(cuda, handle, device_id, failing, message):
    cuda.failing.add(failing)
    with pytest.raises(InvalidRequest, match=f"CUDA shared memory on device {device_id}: .*{message}"):
        cuda.memory.open(handle, device_id)
    assert cuda.calls.count("cudaIpcOpenMemHandle") == cuda.calls.count("cudaIpcCloseMemHandle"), "nothing stays open"


def test_a_failed_copy_is_told(cuda):
    address, _ = cuda.memory.open(HANDLE, 1)
    cuda.failing.add("cudaMemcpy")
    for copy in (lambda: cuda.memory.read(address, 1, 8), lambda: cuda.memory.write(address, 1, b"x")):
        with pytest.raises(RegionUnavailable, match="device 1: reason 7"):
            copy()


def test_a_write_is_over_when_it_returns(cuda):
    address, _ = cuda.memory.open(HANDLE, 1)
    cuda.memory.write(address, 1, b"x")
    assert cuda.calls[-2:] == ["cudaMemcpy", "cudaStreamSynchronize"], "another process reads it next"
    cuda.failing.add("cudaStreamSynchronize")
    with pytest.raises(RegionUnavailable, match="device 1: reason 7"):
        cuda.memory.write(address, 1, b"x")


def test_this_machine_has_cuda_memory_or_says_why_not():
    found = find_cuda_memory()
    assert isinstance(found, CudaMemory) or "CUDA" in found or "NVIDIA" in found
