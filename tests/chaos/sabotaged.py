"""The server, with a way to end a thread that executes models: at SIGUSR1 the next one that has something to do."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from pasarela_server.__main__ import main
from pasarela_server.scheduling.instance import ModelInstance

_pending: list[int] = []


def _sabotage() -> None:
    execute = ModelInstance.execute

    def executes(self: ModelInstance, *arguments: Any, **options: Any) -> None:
        if not (_pending and threading.current_thread().name.startswith("instance-")):
            execute(self, *arguments, **options)
        else:
            _pending.pop()
            sys.stderr.write("sabotage: the thread of an instance ends\n")
            sys.stderr.flush()
            raise SystemExit

    ModelInstance.execute = executes  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, lambda number, frame: _pending.append(1))


if __name__ == "__main__":
    _sabotage()
    sys.exit(main())
