"""An InferenceSession on all cores of a model, beside those of its instances: opened when it is first of use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_log = logging.getLogger("pasarela_server.backends")

Snapshot = frozenset[tuple[str, int, int, int]]


def snapshot(folder: Path) -> Snapshot:
    """What tells the files of a folder from others that may come in their place."""
    found = ((path.name, path.stat()) for path in folder.iterdir())
    return frozenset((name, status.st_ino, status.st_size, status.st_mtime_ns) for name, status in found)


class WideInference:
    """Opens it once. `ready` may be called from any thread."""

    def __init__(self, artefact: Path, opened_by: Callable[[], Any]) -> None:
        """Opens nothing yet; called before the artefact is read for the first time.

        Args:
            artefact: The model's file. It is read again, and so not opened if it, or what lies beside it, has changed.
            opened_by: Opens the InferenceSession; called once, on a thread of its own.
        """
        self._folder = artefact.parent
        self._files = snapshot(self._folder)
        self._opened_by = opened_by
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._inference: Any = None

    def ready(self) -> Any | None:
        """The InferenceSession; None while there is none. The first who asks has it opened."""
        if self._inference is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._open, name="onnxruntime-opens")
                    self._thread.start()
        return self._inference

    def close(self) -> None:
        """Waits for one that is being opened, and lets go of it; nobody may ask afterwards."""
        if self._thread is not None:
            self._thread.join()
        self._inference = None

    def _open(self) -> None:
        try:
            inference = self._opened_by()
            if snapshot(self._folder) == self._files:
                self._inference = inference
        except Exception:  # noqa: BLE001 - whatever it is, the model is served without it, as until now
            _log.warning("the model could not be opened a second time, for single requests", exc_info=True)
