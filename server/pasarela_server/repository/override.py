"""A model that a client sends with its request to load it: a configuration, and files in place of the repository's."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pasarela_server.errors import InvalidRequest, LoadFailed
from pasarela_server.repository.scan import CONFIG_FILE, ModelOnDisk, scan

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")

MOST_FILES = 64
"""That a client may send of one model."""
MOST_BYTES = 4 * 2**30
"""Of all models together that clients have sent and that are loaded; one alone is limited by the size of a message."""


@dataclass(frozen=True, slots=True)
class LoadOverride:
    """What stands in for what lies in the repository."""

    config_text: str
    """Like the content of a config.pbtxt."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """By path in the model's folder, as `1/model.onnx`. If there are any, nothing is read from the repository."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A model as it lies in a folder of its own."""

    folder: Path
    size: int

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class OverrideStore:
    """Folders of models that clients have sent. Frameworks map none of the files.

    Each model has one; while it is replaced, and if that failed, the one before is there too: what answers may have to
    open its files again. All methods may be called from any thread; one model is written at a time.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Builds an empty one.

        Args:
            most_bytes: Of all models together, those that are being replaced left out.
        """
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._sent: dict[str, list[_Sent]] = {}
        """By model: the one that answers, if one does, and then the one that was sent last."""

    def place(self, name: str, override: LoadOverride) -> ModelOnDisk:
        """Writes a model that was sent beside one that was sent before: until `keep_last`, or `take_back`.

        Raises:
            InvalidRequest: The model's name, or that of a file, is none, or there are too many files or bytes.
            LoadFailed: There is no room for it on the server.
        """
        with self._lock:
            return self._place(name, override)

    def _place(self, name: str, override: LoadOverride) -> ModelOnDisk:
        size = sum(map(len, override.files.values()))
        others = sum(sent[-1].size for other, sent in self._sent.items() if other != name)
        if others + size > self._most_bytes:
            raise InvalidRequest(
                f"model {name[:80]!r}: its {size:,} bytes, with {others:,} of other models that were sent, are more "
                f"than the {self._most_bytes:,} that the server keeps; unload one of those"
            )
        folder = Path(tempfile.mkdtemp(prefix="pasarela-model-"))
        try:
            write_override(folder, name, override)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise LoadFailed(f"model {name[:80]!r} cannot be stored: {error.strerror}") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        sent = self._sent.setdefault(name, [])
        while len(sent) > 1:
            sent.pop().remove()
        sent.append(_Sent(folder, size))
        (found,) = scan(folder)
        return found

    def keep_last(self, name: str) -> None:
        """What was sent last of a model answers: what was sent before is removed."""
        with self._lock:
            sent = self._sent.get(name, [])
            while len(sent) > 1:
                sent.pop(0).remove()

    def take_back(self, name: str) -> None:
        """What was sent last of a model was never opened: it is removed."""
        with self._lock:
            sent = self._sent.get(name)
            if sent:
                sent.pop().remove()
                if not sent:
                    del self._sent[name]

    def drop(self, name: str) -> None:
        """Removes what was sent of a model, if anything was."""
        with self._lock:
            for each in self._sent.pop(name, []):
                each.remove()

    def close(self) -> None:
        """Removes everything."""
        with self._lock:
            for name in list(self._sent):
                self.drop(name)


def write_override(root: Path, name: str, override: LoadOverride) -> None:
    """Writes a model that a client sent into an empty repository of its own.

    Raises:
        InvalidRequest: The model's name, or that of a file, is none, or there are too many files.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(f"a model that is sent with its files cannot be called {name[:80]!r}")
    if len(override.files) > MOST_FILES:
        raise InvalidRequest(f"model {name!r}: {len(override.files)} files are sent; expected at most {MOST_FILES}")
    folder = root / name
    folder.mkdir()
    (folder / CONFIG_FILE).write_text(override.config_text, encoding="utf-8")
    for path, content in override.files.items():
        parts = PurePosixPath(path).parts
        if not parts or not all(_NAME.fullmatch(part) for part in parts) or len(parts) > 4:
            raise InvalidRequest(
                f"model {name!r}: file {path[:80]!r} is no path inside a model's folder; expected one like 1/model.onnx"
            )
        file = folder.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
