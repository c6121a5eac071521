"""The files of an OpenVINO model: what was read is what counts, whatever becomes of them on disk."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_DIGEST = hashlib.sha256


class ArtefactFiles:
    """Files as they were at one moment, also which of them were missing."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Reads them."""
        self._paths = tuple(paths)
        self._contents = {path: path.read_bytes() for path in self._paths if path.is_file()}
        self.digest = _digest(
            (path.name, _DIGEST(self._contents[path]).digest() if path in self._contents else None)
            for path in self._paths
        )
        """Differs where names or contents do."""

    def unchanged(self) -> bool:
        """Whether the same lies on disk now."""
        try:
            return _digest((path.name, _digest_on_disk(path)) for path in self._paths) == self.digest
        except OSError:
            return False

    def content(self, path: Path) -> bytes:
        """What a file held; nothing if it was missing."""
        return self._contents.get(path, b"")

    def forget(self) -> None:
        """Lets go of the contents: they take as much memory as the files."""
        self._contents.clear()


class ModelSource:
    """The model in an artefact. A start that compiles no form of it need not have it: it may be made later.

    Any thread may ask for it.
    """

    def __init__(self, core: Any, artefact: Path, files: ArtefactFiles) -> None:
        """Reads nothing yet.

        Args:
            core: OpenVINO's.
            artefact: The file.
            files: The same with what belongs to it, as it was read before.
        """
        self._core = core
        self._artefact = artefact
        self._files = files
        self._lock = threading.Lock()
        self._model: Any = None

    def read(self) -> Any:
        """The model as it lies on disk: what is wrong with it is told best so. Called at most once, before `model`."""
        with self._lock:
            self._files.forget()
            self._model = self._core.read_model(self._artefact)
            return self._model

    def model(self) -> Any:
        """The model that was read; else it is made of what the files held, whatever has become of them.

        Only for a .xml of which it is known that it is a model.
        """
        with self._lock:
            if self._model is None:
                weights = self._files.content(weights_of(self._artefact))
                self._model = self._core.read_model(self._files.content(self._artefact), weights)
                self._files.forget()
            return self._model


def weights_of(artefact: Path) -> Path:
    """Where the weights of a .xml are."""
    return artefact.with_suffix(".bin")


def _digest(digests: Iterable[tuple[str, bytes | None]]) -> bytes:
    whole = _DIGEST()
    for name, digest in digests:
        whole.update(os.fsencode(name) + b"\0" + (b"missing" if digest is None else digest))
    return whole.digest()


def _digest_on_disk(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, _DIGEST).digest()
