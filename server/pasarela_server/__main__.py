"""The process: flags in, exit code out.

Each part is imported when its turn has come: a wrong flag is told at once, and models are read while what speaks to
clients is being imported.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from pasarela_server.config.command_line import parse_command_line
from pasarela_server.errors import InvalidModel
from pasarela_server.observability.logging import configure_logging, log_settings, log_uncaught
from pasarela_server.processes.allocator import keep_few_arenas
from pasarela_server.processes.blas import without_blas_threads
from pasarela_server.rpc.address import PortUnavailable, require_port


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a server until it is told to stop; or one of the commands for a repository.

    Args:
        argv: The command line without the program's name; None takes that of the process.

    Returns:
        0 after an orderly stop, 1 if the server could not start.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["health"]:
        from pasarela_server.health_command import run_health

        return run_health(arguments[1:], os.environ)
    if arguments and not arguments[0].startswith("-"):
        from pasarela_server.commands import is_command, run_command

        if is_command(arguments):
            return run_command(arguments, os.environ)
    config = parse_command_line(arguments, os.environ)
    gc.disable()  # until the app has what it imports
    keep_few_arenas()
    configure_logging(log_settings(config.log_verbose, config.log_format))
    log_uncaught()
    try:
        require_port(config.grpc_address, config.grpc_port, "--grpc-port")
        if config.allow_metrics:
            require_port(config.metrics_address, config.metrics_port, "--metrics-port")

        with without_blas_threads():
            from pasarela_server.loading import LoadingModels

        loading = LoadingModels(config)
        loading.start()

        from pasarela_server.app import run

        return run(config, loading)
    except (InvalidModel, PortUnavailable) as error:
        sys.stderr.write(f"pasarela-server: error: {error}\n")
        return 1
    except KeyboardInterrupt:  # before the server listens to signals itself
        return 130


if __name__ == "__main__":
    sys.exit(main())
