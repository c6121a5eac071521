"""The memory of NVIDIA's GPUs, by the CUDA runtime that PyTorch brings; no framework is imported."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from pathlib import Path

import numpy as np

from pasarela_server.errors import InvalidRequest, RegionUnavailable
from pasarela_server.tensor import Array

_SYSTEM_RUNTIMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
_HANDLE_BYTES = 64
_LAZY_PEER_ACCESS = 1
_TO_DEVICE, _TO_HOST = 1, 2
_DEFAULT_STREAM = None


class _Handle(ctypes.Structure):
    """`cudaIpcMemHandle_t`, which is passed by value."""

    _fields_ = (("reserved", ctypes.c_ubyte * _HANDLE_BYTES),)


class CudaMemory:
    """Memory that other processes share by handles. All methods may be called from any thread, and block.

    The CUDA runtime keeps the device that is in use for each thread, so each method chooses its own.
    """

    def __init__(self, runtime: ctypes.CDLL, driver: ctypes.CDLL) -> None:
        """Uses libraries that are loaded.

        Args:
            runtime: libcudart.
            driver: libcuda.
        """
        runtime.cudaGetErrorString.restype = ctypes.c_char_p
        runtime.cudaIpcOpenMemHandle.argtypes = (ctypes.POINTER(ctypes.c_void_p), _Handle, ctypes.c_uint)
        runtime.cudaIpcCloseMemHandle.argtypes = (ctypes.c_void_p,)
        runtime.cudaMemcpy.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self._runtime = runtime
        self._driver = driver

    def open(self, handle: bytes, device_id: int) -> tuple[int, int]:
        """Opens a handle that another process made.

        Returns:
            The address on the device, and how many bytes there are from it.

        Raises:
            InvalidRequest: There is no such device, or the handle is none of it.
        """
        where = f"CUDA shared memory on device {device_id}"
        if len(handle) != _HANDLE_BYTES:
            raise InvalidRequest(f"{where}: expected a handle of {_HANDLE_BYTES} bytes, got {len(handle)}")
        if not 0 <= device_id < _device_count(self._runtime):
            raise InvalidRequest(f"{where}: expected one of the server's {_device_count(self._runtime)} devices")
        address = ctypes.c_void_p()
        opened = self._runtime.cudaSetDevice(device_id) or self._runtime.cudaIpcOpenMemHandle(
            ctypes.byref(address), _Handle.from_buffer_copy(handle), _LAZY_PEER_ACCESS
        )
        if opened or address.value is None:
            raise InvalidRequest(f"{where}: the handle cannot be opened: {self._reason(opened)}")
        base, size = ctypes.c_uint64(), ctypes.c_size_t()
        failed = self._driver.cuMemGetAddressRange_v2(
            ctypes.byref(base), ctypes.byref(size), ctypes.c_uint64(address.value)
        )
        if failed:
            self.close(address.value, device_id)
            raise InvalidRequest(f"{where}: the size of the handle's memory cannot be had")
        return address.value, base.value + size.value - address.value

    def close(self, address: int, device_id: int) -> None:
        """Gives the address back. An error means that the device is gone, and nobody could do anything about it."""
        self._runtime.cudaSetDevice(device_id)
        self._runtime.cudaIpcCloseMemHandle(address)

    def read(self, address: int, device_id: int, byte_size: int) -> memoryview:
        """Copies bytes from the device.

        Raises:
            RegionUnavailable: The copy failed.
        """
        target = np.empty(byte_size, np.uint8)
        self.read_into(target, address, device_id)
        return target.data.toreadonly()

    def read_into(self, target: Array, address: int, device_id: int) -> None:
        """Fills an array, which is contiguous, with bytes from the device.

        Raises:
            RegionUnavailable: The copy failed.
        """
        self._copy(target.ctypes.data, address, device_id, target.nbytes, _TO_HOST)

    def write(self, address: int, device_id: int, contents: bytes | memoryview) -> None:
        """Copies bytes to the device.

        Raises:
            RegionUnavailable: The copy failed.
        """
        source = np.frombuffer(contents, np.uint8)
        self._copy(address, source.ctypes.data, device_id, source.nbytes, _TO_DEVICE)
        # The copy may still be under way when the call returns, and no other process would wait for it.
        failed = self._runtime.cudaStreamSynchronize(_DEFAULT_STREAM)
        if failed:
            raise RegionUnavailable(f"CUDA shared memory on device {device_id}: {self._reason(failed)}")

    def _copy(self, target: int, source: int, device_id: int, byte_size: int, direction: int) -> None:
        runtime = self._runtime
        failed = runtime.cudaSetDevice(device_id) or runtime.cudaMemcpy(target, source, byte_size, direction)
        if failed:
            raise RegionUnavailable(f"CUDA shared memory on device {device_id}: {self._reason(failed)}")

    def _reason(self, code: int) -> str:
        text: bytes = self._runtime.cudaGetErrorString(code)
        return text.decode()


def find_cuda_memory() -> CudaMemory | str:
    """The memory of this machine's GPUs; or why there is none. Loads the CUDA runtime."""
    runtime = _runtime()
    if runtime is None:
        return "the CUDA runtime is not installed; PyTorch with CUDA brings it"
    if not _device_count(runtime):
        return "it has no CUDA device that it can use"
    try:
        return CudaMemory(runtime, ctypes.CDLL("libcuda.so.1"))
    except OSError:
        return "the NVIDIA driver's library cannot be loaded"


def _runtime() -> ctypes.CDLL | None:
    """The runtime in the wheels that PyTorch depends on, else the system's."""
    wheels = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (wheels.submodule_search_locations or ())] if wheels else []
    files = [str(file) for folder in folders for file in sorted(folder.glob("*/lib/libcudart.so.*"), reverse=True)]
    for file in (*files, *_SYSTEM_RUNTIMES):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(file)
    return None


def _device_count(runtime: ctypes.CDLL) -> int:
    count = ctypes.c_int(0)
    return 0 if runtime.cudaGetDeviceCount(ctypes.byref(count)) else count.value
