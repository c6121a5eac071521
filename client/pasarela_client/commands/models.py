"""`pasarela models`: what does the server have?"""

from __future__ import annotations

import argparse
import dataclasses
import json

from pasarela_client.commands.tables import format_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = "Lists the models of the server, their versions and states."
    parser.add_argument("--json", action="store_true", help="print one line of JSON a version")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait (default: 10)")


def run(arguments: argparse.Namespace) -> int:
    """Prints the models; returns the exit code.

    Raises:
        PasarelaError: The server did not say.
    """
    from pasarela_client.models import list_models

    states = list_models(arguments.url, timeout_s=arguments.timeout)
    if arguments.json:
        for state in states:
            print(json.dumps(dataclasses.asdict(state), ensure_ascii=False))
    elif not states:
        print(f"the server at {arguments.url} has no models")
    else:
        rows = [["NAME", "VERSION", "STATE", "REASON"]]
        rows += [[state.name, state.version or "-", state.state, state.reason] for state in states]
        print(format_table(rows))
    return 0
