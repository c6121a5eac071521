"""The regions that are registered, by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pasarela_server.errors import InvalidRequest, RegionExists, RegionNotFound
from pasarela_server.shared_memory.device import DeviceRegion
from pasarela_server.shared_memory.region import SystemRegion

_MOST_NAME_CHARS = 1024

Region = SystemRegion | DeviceRegion
R = TypeVar("R", SystemRegion, DeviceRegion)

_KINDS: dict[type[Region], str] = {SystemRegion: "system", DeviceRegion: "CUDA"}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a tensor is, or shall be put. It keeps the region alive, whether or not it is still registered."""

    region: Region
    offset: int
    """From the beginning of the region."""
    byte_size: int

    def read(self) -> memoryview:
        """The bytes that are there: a view of system memory, a copy of a device's."""
        return self.region.read(self.offset, self.byte_size)

    def write(self, where: str, contents: bytes | memoryview) -> None:
        """Puts a tensor there.

        Raises:
            InvalidRequest: There is not enough room.
        """
        if len(contents) > self.byte_size:
            raise InvalidRequest(
                f"{where}: expected room for {len(contents)} bytes in shared memory region '{self.region.name}', "
                f"got shared_memory_byte_size {self.byte_size}"
            )
        self.region.write(self.offset, contents)


class Regions:
    """One set of names for system and device memory, as Triton has it. All methods may be called from any thread."""

    def __init__(self, max_regions: int = 256) -> None:
        """Starts empty.

        Args:
            max_regions: How many there may be. Each system region holds two file descriptors, which connections
                need too.
        """
        self._max_regions = max_regions
        self._lock = threading.Lock()
        self._regions: dict[str, Region] = {}

    def register(self, name: str, opened: Callable[[], Region]) -> None:
        """Opens a region under a name.

        Raises:
            RegionExists: The name is taken.
            InvalidRequest: The name is empty or too long, or there are too many.
        """
        with self._lock:
            if not name:
                raise InvalidRequest("shared memory: expected a name for the region, got an empty one")
            if len(name) > _MOST_NAME_CHARS:
                raise InvalidRequest(
                    f"shared memory region '{name[:40]}…': expected a name of at most {_MOST_NAME_CHARS} characters, "
                    f"got {len(name)}"
                )
            if name in self._regions:
                kind = _KINDS[type(self._regions[name])]
                raise RegionExists(f"shared memory region '{name}' is already registered, in {kind} memory")
            if len(self._regions) >= self._max_regions:
                raise InvalidRequest(
                    f"shared memory region '{name}': expected at most {self._max_regions} regions; unregister some"
                )
            self._regions[name] = opened()

    def status(self, kind: type[R], name: str = "") -> tuple[R, ...]:
        """The regions of a kind in the order in which they were registered; or one of them.

        Raises:
            RegionNotFound: There is none of that name and kind.
        """
        with self._lock:
            found = [region for region in self._regions.values() if isinstance(region, kind)]
        if not name:
            return tuple(found)
        named = tuple(region for region in found if region.name == name)
        if not named:
            raise RegionNotFound(f"there is no {_KINDS[kind]} shared memory region '{name}'")
        return named

    def unregister(self, kind: type[Region], name: str = "") -> None:
        """Forgets a region, or all of a kind. Requests that use it go on; an unknown name is no error."""
        with self._lock:
            self._regions = {
                other: region
                for other, region in self._regions.items()
                if not isinstance(region, kind) or name not in ("", other)
            }

    def place(self, where: str, name: str, offset: int, byte_size: int) -> Placement:
        """A range of a region, for one request.

        Raises:
            RegionNotFound: There is no such region.
            InvalidRequest: The range is not inside it.
        """
        with self._lock:
            region = self._regions.get(name)
        if region is None:
            raise RegionNotFound(f"{where}: expected a registered shared memory region, got '{name}', which is none")
        if offset < 0 or byte_size < 0 or offset + byte_size > region.byte_size:
            raise InvalidRequest(
                f"{where}: expected a range inside the {region.byte_size} bytes of shared memory region '{name}', "
                f"got {byte_size} bytes at offset {offset}"
            )
        return Placement(region, offset, byte_size)
