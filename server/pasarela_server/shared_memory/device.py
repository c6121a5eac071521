"""A part of a GPU's memory that a client shares by an inter-process handle."""

from __future__ import annotations

import weakref
from typing import Protocol, Self

from pasarela_server.errors import InvalidRequest


class DeviceMemory(Protocol):
    """What the server needs of a GPU's runtime. All methods may be called from any thread, and block."""

    def open(self, handle: bytes, device_id: int) -> tuple[int, int]:
        """Opens a handle that another process made.

        Returns:
            The address on the device, and how many bytes there are from it.

        Raises:
            InvalidRequest: There is no such device, or the handle is none of it.
        """
        ...

    def close(self, address: int, device_id: int) -> None:
        """Gives the address back. Called once, when nobody uses it any more; raises nothing."""
        ...

    def read(self, address: int, device_id: int, byte_size: int) -> memoryview:
        """Copies bytes from the device; read-only.

        Raises:
            RegionUnavailable: The copy failed.
        """
        ...

    def write(self, address: int, device_id: int, contents: bytes | memoryview) -> None:
        """Copies bytes to the device.

        Raises:
            RegionUnavailable: The copy failed.
        """
        ...


class DeviceRegion:
    """Owns an opened handle, which is closed with the last reference. May be used from any thread."""

    def __init__(self, memory: DeviceMemory, name: str, device_id: int, byte_size: int, address: int) -> None:
        """Takes over the address; see `open`."""
        self.name = name
        self.device_id = device_id
        self.byte_size = byte_size
        self._memory = memory
        self._address = address
        weakref.finalize(self, memory.close, address, device_id)

    @classmethod
    def open(cls, memory: DeviceMemory, name: str, handle: bytes, device_id: int, byte_size: int) -> Self:
        """Opens a handle.

        Raises:
            InvalidRequest: Device or handle are unknown, or the memory has fewer bytes.
        """
        address, available = memory.open(handle, device_id)
        if not 0 < byte_size <= available:
            memory.close(address, device_id)
            raise InvalidRequest(
                f"CUDA shared memory region '{name}': expected from 1 to {available} bytes, which the handle's memory "
                f"has; got {byte_size}"
            )
        return cls(memory, name, device_id, byte_size, address)

    def read(self, offset: int, byte_size: int) -> memoryview:
        """A copy of a range, which must be inside the region."""
        return self._memory.read(self._address + offset, self.device_id, byte_size)

    def write(self, offset: int, contents: bytes | memoryview) -> None:
        """Puts bytes into a range, which must be inside the region."""
        self._memory.write(self._address + offset, self.device_id, contents)
