"""Compiled OpenVINO models and what they say on disk, so that the next start need neither compile nor read them.

OpenVINO has a cache of its own (`CACHE_DIR`). This one is used instead because it promises more: an entry stands for
the bytes of the model's files, appears under its name only when it is whole, and is checked before it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pasarela_server.backends.openvino_files import ArtefactFiles

_log = logging.getLogger("pasarela_server.backends")

_T = TypeVar("_T")
_FORMAT = b"pasarela-openvino-2"
_DIGEST = hashlib.sha256
_ENDING = ".blob"
_UNUSED_S = 30 * 24 * 3600.0
"""Entries that nobody has read for so long are removed when another is written."""


class ModelCache:
    """The compiled variants of one model, and what it says.

    Nothing that goes wrong with the folder fails a load: it warns.
    Any number of threads and processes may use a folder at once.
    """

    def __init__(self, folder: Path | None, files: ArtefactFiles, made_by: Mapping[str, object]) -> None:
        """Prepares the cache.

        Args:
            folder: Where the entries are; None switches the cache off.
            files: The model's: entries belong to what they held.
            made_by: What else the entries depend on: versions, device, settings.
        """
        self._folder = folder
        self._files = files
        text = "\n".join(f"{key}={made_by[key]}" for key in sorted(made_by)).encode()
        self._mark = _DIGEST(_FORMAT + files.digest + text).digest()

    def compile(self, what: str, compile_model: Callable[[], Any], import_model: Callable[[bytes], Any]) -> Any:
        """The compiled model: from the cache if it is there and sound, else compiled and kept for the next time.

        Args:
            what: Tells this model's variants apart.
            compile_model: Compiles the variant.
            import_model: Reads what `export_model` of a compiled model wrote.
        """
        return self.get(what, compile_model, lambda compiled: compiled.export_model().getvalue(), import_model)

    def get(
        self, what: str, make: Callable[[], _T], write: Callable[[_T], bytes | None], read: Callable[[bytes], _T]
    ) -> _T:
        """Something that follows from the files: from the cache if it is there and sound, else made and kept.

        Args:
            what: Tells such things apart.
            make: Makes it.
            write: What to keep of it; None if it cannot be kept.
            read: Makes it of what was kept. Whatever it raises, the thing is made instead.
        """
        if self._folder is None:
            return make()
        entry = self._folder / (_DIGEST(self._mark + what.encode()).hexdigest() + _ENDING)
        content = _read(entry)
        if content is not None:
            try:
                return read(content)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it can be made
                _log.warning("an entry of the model cache cannot be used, making it anew: %s", type(error).__name__)
        made = make()
        # Files that were replaced while they were read: nobody knows of which of the two it was made.
        if self._files.unchanged():
            self._keep(entry, lambda: write(made))
        return made

    def _keep(self, entry: Path, write: Callable[[], bytes | None]) -> None:
        """Writes an entry beside its place and renames it: under its name it is whole or not there."""
        scratch = ""
        try:
            content = write()
            if content is None:
                return
            entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(dir=entry.parent, suffix=_ENDING + ".part")
            with os.fdopen(handle, "wb") as opened:
                opened.write(_DIGEST(content).digest())
                opened.write(content)
            Path(scratch).replace(entry)
        except Exception as error:  # noqa: BLE001 - a full disk, a read-only folder, a device that cannot export
            _log.warning(
                "the model cache %s cannot be written, the next start will compile again: %s", entry.parent, error
            )
            if scratch:
                Path(scratch).unlink(missing_ok=True)
            return
        _remove_unused(entry.parent, time.time() - _UNUSED_S)


def _read(entry: Path) -> bytes | None:
    """What an entry holds; None if it is not there, or not what was written."""
    try:
        raw = entry.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("the model cache %s cannot be read: %s", entry.parent, error.strerror)
        return None
    size = _DIGEST().digest_size
    content = raw[size:]
    if len(raw) <= size or _DIGEST(content).digest() != raw[:size]:
        _log.warning("an entry of the model cache %s is damaged, making it anew", entry.parent)
        return None
    with contextlib.suppress(OSError):  # somebody else's folder: it is read all the same
        os.utime(entry)
    return content


def _remove_unused(folder: Path, before_s: float) -> None:
    """Removes entries, and what a process that was killed left of one, that were last used before a time."""
    for file in folder.glob(f"*{_ENDING}*"):
        try:
            if file.stat().st_mtime < before_s:
                file.unlink()
        except OSError:
            continue  # another server was quicker
