"""Somebody who publishes: new versions, labels that move and go back, versions taken back, old ones deleted."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.chaos.models import ADD
from tests.soak.clients import STABLE
from tests.tiny_models import write_onnx

_KEPT = 4


class Publisher:
    """Changes a repository every few seconds, during the block."""

    def __init__(self, root: Path, every_s: float = 6.0) -> None:
        self.done = 0
        """Changes so far."""
        self.faults: list[str] = []
        self._root = root
        self._every_s = every_s
        self._newest = 1
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def label(self, version: int) -> None:
        """Moves the label."""
        self._command("label", ADD, f"{STABLE}={version}")

    def tidy(self) -> None:
        """Lets the label name the newest version, so that one version is loaded, as at the beginning."""
        self.label(max(self._numbers()))

    def _numbers(self) -> list[int]:
        return sorted(int(folder.name) for folder in (self._root / ADD).iterdir() if folder.name.isdigit())

    def _run(self) -> None:
        # Each label goes back to a version that is still there.
        turn = (self._publish, self.tidy, self._publish, self.tidy, self._label_back, self._version_back)
        steps = itertools.cycle(turn)
        while not self._over.wait(self._every_s):
            try:
                next(steps)()
            except Exception as error:  # noqa: BLE001 - a publisher that ended by itself would make the soak look well
                self.faults.append(f"{type(error).__name__}: {error}")
            self.done += 1

    def _publish(self) -> None:
        self._newest += 1
        write_onnx(self._root / ADD / str(self._newest), self._newest)
        for number in self._numbers()[:-_KEPT]:
            shutil.rmtree(self._root / ADD / str(number))

    def _label_back(self) -> None:
        self._command("rollback", ADD, STABLE)

    def _version_back(self) -> None:
        self._command("rollback", ADD)

    def _command(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pasarela_server", *arguments, "--model-repository", str(self._root)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            self.faults.append(f"{' '.join(arguments)}: {ended.stderr.strip()}")
