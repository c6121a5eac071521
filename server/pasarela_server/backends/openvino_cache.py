"""Compiled OpenVINO models on disk, so that the next start need not compile them.

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
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger("pasarela_server.backends")

_FORMAT = b"pasarela-openvino-1"
_DIGEST = hashlib.sha256
_ENDING = ".blob"
_UNUSED_S = 30 * 24 * 3600.0
"""Entries that nobody has read for so long are removed when another is written."""


class ModelCache:
    """The compiled variants of one model. Nothing that goes wrong with the folder fails a load: it warns.

    Any number of threads and processes may use a folder at once.
    """

    def __init__(self, folder: Path | None, files: Iterable[Path], made_by: Mapping[str, object]) -> None:
        """Prepares the cache; reads the model's files.

        Args:
            folder: Where the entries are; None switches the cache off.
            files: The model's; those that do not exist are left out.
            made_by: What else the compiled form depends on: versions, device, settings.
        """
        self._folder = folder
        self._files = [file for file in files if file.is_file()] if folder is not None else []
        self._made_by = "\n".join(f"{key}={made_by[key]}" for key in sorted(made_by)).encode()
        self._before = self._digest()

    def compile(self, what: str, compile_model: Callable[[], Any], import_model: Callable[[bytes], Any]) -> Any:
        """The compiled model: from the cache if it is there and sound, else compiled and kept for the next time.

        Args:
            what: Tells this model's variants apart.
            compile_model: Compiles the variant.
            import_model: Reads what `export_model` of a compiled model wrote.
        """
        if self._folder is None:
            return compile_model()
        entry = self._folder / (_DIGEST(self._before + what.encode()).hexdigest() + _ENDING)
        content = _read(entry)
        if content is not None:
            try:
                return import_model(content)
            except Exception as error:  # noqa: BLE001 - whatever OpenVINO dislikes about it, the model can be compiled
                _log.warning("an entry of the model cache cannot be used, compiling instead: %s", type(error).__name__)
        compiled = compile_model()
        # Files that were replaced while they were read: nobody knows which of the two was compiled.
        if self._digest() == self._before:
            self._keep(entry, compiled)
        return compiled

    def _digest(self) -> bytes:
        digest = _DIGEST(_FORMAT + self._made_by)
        for file in self._files:
            digest.update(file.name.encode())
            try:
                with file.open("rb") as opened:
                    digest.update(hashlib.file_digest(opened, "sha256").digest())
            except OSError:
                digest.update(os.urandom(16))  # gone meanwhile: equal to nothing
        return digest.digest()

    def _keep(self, entry: Path, compiled: Any) -> None:
        """Writes an entry beside its place and renames it: under its name it is whole or not there."""
        scratch = ""
        try:
            entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = compiled.export_model().getvalue()
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
        _log.warning("an entry of the model cache %s is damaged, compiling instead", entry.parent)
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
