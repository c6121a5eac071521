"""What all writers of results have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from pasarela_client.detections import Detections, FrameError, FrameResult
from pasarela_client.unfinished import Unfinished, naming


class Export(ABC):
    """Results on their way into a file or folder, which is there under its name when all of them are in it.

    Use it in a `with` block: at its end the file takes its place; an exception, Ctrl-C too, leaves nothing. Results
    are written as they come, and memory does not grow with their number. Not for several threads at a time.
    """

    def __init__(self, target: Unfinished) -> None:
        self._target = target
        self._over = False
        self.frames = 0
        """Images and frames that were added, failed ones too."""
        self.failed = 0
        """Of these the failed ones."""
        self.detections = 0
        """Objects on them."""

    @property
    def path(self) -> Path:
        """Where the results will stand, and after `close` stand."""
        return self._target.path

    def add(self, result: FrameResult) -> None:
        """Writes one result.

        Raises:
            ExportFailed: It cannot be written; nothing is left of what was.
            InvalidRequest: It does not fit the export; nothing of it was written, and others may follow.
            ValueError: The export is over.
        """
        if self._over:
            raise ValueError(f"the export into {self.path} is over, nothing can be added")
        try:
            with naming(self.path):
                if result.ok:
                    self._add_found(result)
                    self.detections += len(result)
                else:
                    self._add_error(result)
                    self.failed += 1
                self._target.pass_on()
        except OSError:
            self.abort()
            raise
        self.frames += 1

    def close(self) -> Path:
        """Finishes the file, which takes its place; nothing happens if the export is over.

        Returns:
            Where it stands.

        Raises:
            ExportFailed: It cannot be written; nothing is left of what was.
        """
        if self._over:
            return self.path
        try:
            with naming(self.path):
                self._finish()
            self._over = True
            self._target.commit()
        except BaseException:
            self.abort()
            raise
        return self.path

    def abort(self) -> None:
        """Gives the export up: nothing is left of it. Nothing happens if it is over."""
        self._over = True
        self._release()
        self._target.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @abstractmethod
    def _add_found(self, found: Detections) -> None:
        """Writes what was found on one image; its `OSError`s are turned by the caller."""

    @abstractmethod
    def _add_error(self, error: FrameError) -> None:
        """Writes, or leaves out, what could not be answered."""

    def _finish(self) -> None:  # noqa: B027 - most have nothing to add
        """Writes what comes at the end."""

    def _release(self) -> None:  # noqa: B027
        """Lets go of what else is held; called when the export is given up, possibly after `_finish`."""
