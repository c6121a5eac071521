"""A front's process: started by the back, never by a person."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Serves until the back says that it is over, or has gone."""
    # Whoever stops a server often signals all of its processes: the back alone decides what that means. So before
    # anything is imported, which takes a while.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    from pasarela_server.frontends.settings import VARIABLE, FrontSettings

    try:
        settings = FrontSettings.from_text(os.environ.pop(VARIABLE, ""))
    except ValueError:
        sys.stderr.write("this is a part of pasarela-server: start that, with --frontends\n")
        return 2
    # The back ends a front that does not get ready; one whose back has gone meanwhile ends by this, whatever it does.
    signal.setitimer(signal.ITIMER_REAL, settings.set_up_s)
    from pasarela_server.processes.allocator import keep_few_arenas
    from pasarela_server.processes.blas import without_blas_threads

    keep_few_arenas()
    with without_blas_threads():
        from pasarela_server.frontends.front import run
    from pasarela_server.observability.logging import LogSettings, configure_logging, log_uncaught

    configure_logging(LogSettings.from_text(settings.log))
    log_uncaught()
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
