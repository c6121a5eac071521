"""A part of a POSIX shared memory object, as `shm_open` knows it, mapped into the server."""

from __future__ import annotations

import mmap
import os
import stat
import weakref
from typing import Self

from pasarela_server.errors import InvalidRequest, RegionUnavailable, Unsupported

try:
    # CPython's own binding of shm_open, without the resource tracker of multiprocessing, which would unlink objects.
    import _posixshmem  # type: ignore[import-not-found]  # typeshed leaves it out
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True
"""Whether this platform has POSIX shared memory."""

_MAX_KEY_BYTES = 255


class SystemRegion:
    """Owns a mapping of its range. May be used from any thread.

    Nobody closes it: descriptor and mapping live until the last reference is gone, and each view counts as one. So a
    region may be forgotten while requests still read from it.

    A client that makes the object smaller takes pages away under the mapping, and reading them would end the process
    with SIGBUS. So the size is asked for at each use. What remains is a client that shrinks the object, or punches a
    hole into it on a full file system, after that and before the inference has read the view: whoever may open the
    object is trusted with that. Writing goes through the descriptor, which gives an error instead.
    """

    def __init__(self, name: str, key: str, offset: int, byte_size: int, descriptor: int, mapping: mmap.mmap) -> None:
        """Takes over the descriptor; see `open`."""
        self.name = name
        self.key = key
        self.offset = offset
        self.byte_size = byte_size
        self._descriptor = descriptor
        self._mapping = mapping
        # Closed with the last reference and not before: its number could be another file's by then.
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, name: str, key: str, offset: int, byte_size: int) -> Self:
        """Maps a range of an object that exists.

        Args:
            name: What requests will call it.
            key: The object's name, with or without the slash in front.
            offset: Where the range begins in the object.
            byte_size: Its length.

        Raises:
            InvalidRequest: The key is no name of an object, or the range is empty or not inside the object.
            RegionUnavailable: The object cannot be opened or mapped.
            Unsupported: This platform has no POSIX shared memory.
        """
        where = f"shared memory region '{name}'"
        path = _path(where, key)
        if not AVAILABLE:
            raise Unsupported(f"{where}: this server's platform has no POSIX shared memory; send the data in requests")
        try:
            descriptor: int = _posixshmem.shm_open(path, os.O_RDWR, 0)
        except OSError as error:
            raise RegionUnavailable(f"{where}: key '{key}' cannot be opened: {error.strerror}") from error
        try:
            mapping = _map(where, key, descriptor, offset, byte_size)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(name, key, offset, byte_size, descriptor, mapping)

    def read(self, offset: int, byte_size: int) -> memoryview:
        """A read-only view of a range, which must be inside the region; nothing is copied.

        Raises:
            InvalidRequest: The object has become too small.
        """
        self._check_size(offset + byte_size)
        start = self.offset % mmap.ALLOCATIONGRANULARITY + offset
        return memoryview(self._mapping)[start : start + byte_size]

    def write(self, offset: int, contents: bytes | memoryview) -> None:
        """Puts bytes into a range, which must be inside the region.

        Raises:
            InvalidRequest: The object has become too small.
            RegionUnavailable: The system takes no more bytes.
        """
        self._check_size(offset + len(contents))
        rest, position = memoryview(contents), self.offset + offset
        while rest:
            try:
                written = os.pwrite(self._descriptor, rest, position)
            except OSError as error:
                raise RegionUnavailable(
                    f"shared memory region '{self.name}': it cannot be written: {error.strerror}"
                ) from error
            rest, position = rest[written:], position + written

    def _check_size(self, end: int) -> None:
        size = os.fstat(self._descriptor).st_size
        if size < self.offset + end:
            raise InvalidRequest(
                f"shared memory region '{self.name}': the object '{self.key}' was made smaller after it was "
                f"registered: expected at least {self.offset + end} bytes, it has {size}"
            )


def _path(where: str, key: str) -> str:
    bare = key.removeprefix("/")
    if not bare or "/" in bare or "\0" in bare or bare in {".", ".."} or len(bare.encode()) > _MAX_KEY_BYTES:
        raise InvalidRequest(
            f"{where}: expected the name of a shared memory object as key, at most {_MAX_KEY_BYTES} bytes, "
            f"with no slash but the one in front; got '{key[:40]}'"
        )
    return f"/{bare}"


def _map(where: str, key: str, descriptor: int, offset: int, byte_size: int) -> mmap.mmap:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidRequest(f"{where}: key '{key}' is no shared memory object")
    if not byte_size or offset + byte_size > found.st_size:
        raise InvalidRequest(
            f"{where}: expected a range of at least one byte inside the {found.st_size} bytes of '{key}', "
            f"got {byte_size} bytes at offset {offset}"
        )
    before = offset % mmap.ALLOCATIONGRANULARITY
    try:
        return mmap.mmap(descriptor, before + byte_size, access=mmap.ACCESS_READ, offset=offset - before)
    except (OSError, ValueError) as error:
        raise RegionUnavailable(f"{where}: key '{key}' cannot be mapped") from error
