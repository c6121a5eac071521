"""`pasarela unload`: have the server take a model out of service."""

from __future__ import annotations

import argparse
import json
import sys

from pasarela_client.commands.connection_flags import connection_of
from pasarela_client.commands.permission import explained
from pasarela_client.errors import InvalidRequest, PasarelaError, ServerUnreachable

_EPILOG = """\
examples:
  pasarela unload garments_onnx
  pasarela unload garments --dependents           with the raw model that it runs

The server must leave that to its clients: pasarela-server --model-control-mode explicit --load-model '*'
Requests in flight finish. Nothing is deleted: pasarela load brings the model back.

exit codes: 0 done, also if a model was not loaded; 1 some failed (stderr says why); 2 wrong usage; 3 no server;
130 Ctrl-C
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = "Has the server take models out of service."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("models", nargs="+", metavar="MODEL", help="models of the server")
    parser.add_argument("--dependents", action="store_true", help="what they run goes, too")
    parser.add_argument("--json", action="store_true", help="print one line of JSON a model")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds to wait (default: 60)")


def run(arguments: argparse.Namespace) -> int:
    """Unloads; returns the exit code.

    Raises:
        ServerUnreachable: Nobody answers.
    """
    from pasarela_client.sync.control import Server

    failed = 0
    with Server(arguments.url, connection=connection_of(arguments)) as server:
        for model in arguments.models:
            told: dict[str, object] = {"model": model, "unloaded": True}
            try:
                server.unload(model, dependents=arguments.dependents, timeout_s=arguments.timeout)
            except (ServerUnreachable, InvalidRequest):
                raise
            except PasarelaError as error:
                failed += 1
                told = {"model": model, "unloaded": False, "error": explained(error)}
                print(f"pasarela: {explained(error)}", file=sys.stderr)
            if arguments.json:
                print(json.dumps(told, ensure_ascii=False), flush=True)
            elif told["unloaded"]:
                print(f"{model} unloaded", flush=True)
    return 1 if failed else 0
