"""The process: flags in, exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pasarela_server.app import run
from pasarela_server.commands import is_command, run_command
from pasarela_server.config.command_line import parse_command_line
from pasarela_server.observability.logging import configure_logging


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a server until it is told to stop; or one of the commands for a repository.

    Args:
        argv: The command line without the program's name; None takes that of the process.

    Returns:
        0 after an orderly stop, 1 if the server could not start.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if is_command(arguments):
        return run_command(arguments, os.environ)
    config = parse_command_line(arguments, os.environ)
    configure_logging(config.log_verbose)
    try:
        return run(config)
    except KeyboardInterrupt:  # before the server listens to signals itself
        return 130


if __name__ == "__main__":
    sys.exit(main())
