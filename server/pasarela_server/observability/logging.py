"""How the server's log looks: one readable line an event, on stderr."""

from __future__ import annotations

import logging
import sys


def configure_logging(verbosity: int = 0) -> None:
    """Sends the log of the whole process to stderr; called once, by the process's entry point.

    Args:
        verbosity: 0 shows what a person who runs the server wants to know, 1 and above everything.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("pasarela_server").setLevel(logging.DEBUG if verbosity else logging.INFO)
