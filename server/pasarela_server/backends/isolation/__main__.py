"""The process of a model: started by the server, never by a person."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Serves sessions until the server says that it is over, or has gone."""
    # Whoever stops a server often signals all of its processes: the server alone decides what that means. So before
    # anything is imported, which takes a while.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    from pasarela_server.processes.allocator import keep_few_arenas
    from pasarela_server.processes.blas import without_blas_threads

    keep_few_arenas()
    with without_blas_threads():
        from pasarela_server.backends.isolation.host import host
    from pasarela_server.backends.isolation.settings import VARIABLE, ProcessSettings
    from pasarela_server.observability.logging import DEFAULT_SETTINGS, LogSettings, configure_logging

    try:
        settings = ProcessSettings.from_text(os.environ.pop(VARIABLE, ""))
    except ValueError:
        sys.stderr.write("this is a part of pasarela-server: start that, with --isolation process\n")
        sys.exit(2)
    configure_logging(LogSettings.from_text(settings.log) if settings.log else DEFAULT_SETTINGS)
    host(settings)


if __name__ == "__main__":
    main()
