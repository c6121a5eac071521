"""A repository on disk with a manager that polls it, on a clock that only the test moves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from pasarela_server.repository.control import ControlMode
from pasarela_server.repository.manager import ManagerOptions, ModelManager
from pasarela_server.repository.watch import Watcher

POLL = ManagerOptions(control=ControlMode.POLL, settle_s=2.0)


@dataclass
class Polled:
    """A repository on disk and a manager that polls it, on a clock that only the test moves."""

    disk: Any
    manager: ModelManager
    now_s: list[float]

    def poll(self) -> float | None:
        return self.manager.poll()

    def settle(self) -> None:
        """What has been seen settles."""
        self.poll()
        self.now_s[0] += 2
        self.poll()

    def answers(self, model: str = "m", version: int | str | None = None) -> int:
        """The version that answers."""
        with self.manager.acquire(model, version) as handle:
            return handle.servable.version

    def index(self, model: str = "m") -> dict[int | None, tuple[str, str]]:
        return {
            entry.version: (entry.state.value, entry.reason) for entry in self.manager.index() if entry.name == model
        }

    @property
    def opened(self) -> int:
        """Artefacts loaded so far."""
        return len(self.disk.loader.backends)


def start(disk: Any, options: ManagerOptions = POLL) -> Polled:
    """Starts on a repository that was written long ago; what comes later is new."""
    now_s = [1000.0]
    watcher = Watcher(options.settle_s, clock=lambda: now_s[0], wall_clock=lambda: wall_s[0])
    wall_s = [time.time() + 60]
    manager = ModelManager(
        disk.root, {"fake": disk.loader}, disk.pool, 2, disk.changes.append, options, watcher=watcher
    )
    disk.managers.append(manager)
    manager.load_all()
    wall_s[0] = 0.0
    return Polled(disk, manager, now_s)
