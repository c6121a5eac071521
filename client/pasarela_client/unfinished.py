"""Files and folders that stand under their name only when they are whole.

They are written under a hidden name beside it and renamed. What is given up, or fails, leaves nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from pasarela_client.errors import ExportFailed, InvalidRequest

_PARTIAL: Final = "partial"
_STANDARD: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR: Final = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What the system raises while something is written there, as an error that says where and why.

    Raises:
        ExportFailed: In place of an `OSError`.
        BrokenPipeError: Whoever read has gone, which ends a command as it ends others in a pipe.
    """
    try:
        yield
    except (ExportFailed, BrokenPipeError):
        raise
    except OSError as error:
        raise ExportFailed(f"cannot write {path}: {error.strerror or error}", errno=error.errno) from error


def _is_passage(path: Path) -> bool:
    """Whether bytes pass through it to somebody else: a pipe, a device, an open file of this process."""
    if str(path).startswith(("/dev/std", "/dev/fd/", "/proc/")):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _own_descriptor(path: Path) -> int | None:
    """Which open file of this process the path is; None if it is none."""
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else _STANDARD.get(str(path))


def _open_passage(path: Path) -> IO[bytes]:
    """What bytes pass through.

    An open file of this process is shared and not opened anew, which a socket does not allow, nor a terminal of another
    user, and which would let a file begin at its end instead of where others write on.
    """
    descriptor = _own_descriptor(path)
    return path.open("ab") if descriptor is None else os.fdopen(os.dup(descriptor), "wb")


class Unfinished(ABC):
    """What file and folder have in common: taking the place when the `with` block ends well, else leaving nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Where it will stand, as it was asked for."""
        self.place = Path(os.path.realpath(path))
        """The same without symbolic links: a link stays, what it points to is replaced."""

    @abstractmethod
    def commit(self) -> None:
        """Takes the place.

        Raises:
            ExportFailed: It cannot; nothing is left of what was written.
        """

    @abstractmethod
    def discard(self) -> None:
        """Removes what was written; nothing happens after `commit`."""

    def pass_on(self) -> None:  # noqa: B027 - most have nobody who waits
        """Lets what was written so far go to whoever reads at the other end; an `OSError` is to be turned."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()

    def _beside(self, ending: str) -> Path:
        return self.place.with_name(f".{self.place.name[:40]}.{secrets.token_hex(4)}.{ending}")

    def _refuse(self, hint: str) -> None:
        raise InvalidRequest(f"{self.path} exists already; {hint}")


class UnfinishedFile(Unfinished):
    """A file; a pipe or a device (`/dev/stdout`) is written to as it is."""

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Opens it, so that a place that cannot be written to is found before there is anything to write.

        Args:
            path: Where it will stand.
            overwrite: Whether it may take the place of a file that is there.

        Raises:
            InvalidRequest: The file exists and must not be overwritten, or is a folder.
            ExportFailed: Nothing can be written there.
        """
        super().__init__(Path(path))
        self._overwrite = overwrite
        with naming(self.path):
            self._passing = _is_passage(self.path)
            if not self._passing:
                self._check_place()
            self._partial = self.path if self._passing else self._beside(_PARTIAL)
            self.stream: IO[bytes] = _open_passage(self.path) if self._passing else self._partial.open("xb")
        """Where to write; an `OSError` of it is to be turned by `naming`."""

    @property
    def scratch_folder(self) -> Path | None:
        """Where to keep what is written in between: on the same disk; None leaves it to the system."""
        return None if self._passing else self.place.parent

    def write(self, content: bytes | memoryview) -> None:
        """Appends.

        Raises:
            ExportFailed: It cannot be written.
        """
        with naming(self.path):
            self.stream.write(content)

    def pass_on(self) -> None:
        """Empties the buffer if it is a pipe or a device."""
        if self._passing:
            self.stream.flush()

    def commit(self) -> None:
        """Takes the place.

        Raises:
            ExportFailed: It cannot; nothing is left of what was written.
            InvalidRequest: A file has come to stand there that must not be overwritten; likewise.
        """
        try:
            with naming(self.path):
                self.stream.flush()
                if not self._passing:
                    os.fsync(self.stream.fileno())
                self.stream.close()
                if not self._passing:
                    self._check_place()
                    self._partial.replace(self.place)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Removes what was written; nothing happens after `commit`."""
        with suppress(OSError):  # closing writes what is still held back, which may fail once more
            self.stream.close()
        if not self._passing:
            self._partial.unlink(missing_ok=True)

    def _check_place(self) -> None:
        if self.place.is_dir():
            raise InvalidRequest(f"{self.path} is a folder, not a file")
        if self.place.exists() and not self._overwrite:
            self._refuse("say overwrite to replace it")


class UnfinishedFolder(Unfinished):
    """A folder."""

    def __init__(
        self, path: str | Path, *, overwrite: bool = False, is_replaceable: Callable[[Path], bool] = lambda _: True
    ) -> None:
        """Makes it, so that a place that cannot be written to is found before there is anything to write.

        Args:
            path: Where it will stand; an empty folder may be there.
            overwrite: Whether it may take the place of a folder that is there, with all that this holds.
            is_replaceable: Of what the folder that is there holds, at any depth: whether it may go.

        Raises:
            InvalidRequest: The folder holds something and must not be overwritten, or is a file.
            ExportFailed: Nothing can be written there.
        """
        super().__init__(Path(path))
        self._overwrite = overwrite
        self._is_replaceable = is_replaceable
        self.partial = self._beside(_PARTIAL)
        """Where to write."""
        with naming(self.path):
            self._check_place()
            self.partial.mkdir()

    def commit(self) -> None:
        """Takes the place.

        Raises:
            ExportFailed: It cannot; nothing is left of what was written.
            InvalidRequest: Something has come to stand there that must not be overwritten; likewise.
        """
        try:
            with naming(self.path):
                self._check_place()
                old = self._beside("old") if self.place.exists() else None
                if old:
                    self.place.rename(old)
                try:
                    self.partial.rename(self.place)
                except OSError:
                    if old:
                        old.rename(self.place)
                    raise
                if old:
                    shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Removes what was written; nothing happens after `commit`."""
        shutil.rmtree(self.partial, ignore_errors=True)

    def _check_place(self) -> None:
        if not self.place.exists():
            return
        if not self.place.is_dir():
            raise InvalidRequest(f"{self.path} is a file, not a folder")
        held = [entry for entry in self.place.rglob("*") if not entry.is_dir()]
        if held and not self._overwrite:
            self._refuse("say overwrite to replace it with all that it holds, or name a new folder")
        strange = next((entry for entry in held if not self._is_replaceable(entry)), None)
        if strange:
            raise InvalidRequest(f"{self.path} holds more than is written anew ({strange.name}); name a new folder")
