"""Who may use the GPU while ONNX Runtime records what a model has it do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_S = 1.0
"""How long a recording waits for inferences that are under way; one that hangs must not stop all others."""


class Recordings:
    """Lets a recording have the GPU for itself, and everything else run side by side. Any thread may call.

    ONNX Runtime records in the mode in which CUDA refuses other threads of the process memory and plain copies, and
    spoils the recording if they ask. So sessions that know of each other wait for its end: once for each form and
    thread. Nobody waits for a recording while a model is loaded, which takes seconds: it is put off.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working = 0
        self._loading = 0
        self._recording = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """For an inference: waits while somebody records."""
        with self._changed:
            self._changed.wait_for(lambda: not self._recording)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """For a model that is being loaded: waits while somebody records."""
        with self._changed:
            self._changed.wait_for(lambda: not self._recording)
            self._loading += 1
        try:
            yield
        finally:
            with self._changed:
                self._loading -= 1

    @contextmanager
    def recording(self) -> Iterator[bool]:
        """For a recording: True if the GPU is the caller's alone until the block is left.

        False, soon, if it cannot be had: somebody else records, a model is being loaded, or an inference does not end.
        """
        alone = self._begin()
        try:
            yield alone
        finally:
            if alone:
                self._end()

    def _begin(self) -> bool:
        with self._changed:
            if self._recording or self._loading:
                return False
            self._recording = True
            if self._changed.wait_for(lambda: not self._working, _PATIENCE_S):
                return True
        self._end()
        return False

    def _end(self) -> None:
        with self._changed:
            self._recording = False
            self._changed.notify_all()


OF_PROCESS = Recordings()
"""The one that all sessions of a process share, for they share its CUDA."""
