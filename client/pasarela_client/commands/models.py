"""`pasarela models`: what does the server have?"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pasarela_client.commands.connection_flags import connection_of
from pasarela_client.commands.tables import format_table
from pasarela_client.errors import PasarelaError, ServerUnreachable
from pasarela_client.models import ModelDescription, ModelState

if TYPE_CHECKING:
    from pasarela_client.sync.control import Server

_EPILOG = """\
examples:
  pasarela models
  pasarela models --ready --json | jq -r .name
  pasarela models --wait 60                       first wait until all that should be loaded is READY

LABELS are names of versions (stable, canary): they stand wherever a version is asked for.
pasarela describe MODEL tells more of one.

exit codes: 0 done; 1 the server does not say, or was not ready in time; 2 wrong usage; 3 no server; 130 Ctrl-C
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = "Lists the models of the server: versions, labels, states, and what runs them."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--ready", action="store_true", help="only versions that answer requests")
    parser.add_argument("--wait", type=float, metavar="S", help="wait up to S seconds until the server is ready")
    parser.add_argument("--json", action="store_true", help="print one line of JSON a version")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait (default: 10)")


def run(arguments: argparse.Namespace) -> int:
    """Prints the models; returns the exit code.

    Raises:
        PasarelaError: The server did not say.
    """
    from pasarela_client.sync.control import Server

    with Server(arguments.url, timeout_s=arguments.timeout, connection=connection_of(arguments)) as server:
        if arguments.wait is not None:
            server.wait_until_ready(timeout_s=arguments.wait)
        states = [state for state in server.models() if state.ready or not arguments.ready]
        described = {(state.name, state.version): _describe(server, state) for state in states}
    if arguments.json:
        for state in states:
            model = described[state.name, state.version]
            more = {"platform": model.platform, "labels": _labels(model, state)} if model else {}
            print(json.dumps(dataclasses.asdict(state) | {"ready": state.ready, **more}, ensure_ascii=False))
    elif not states:
        print(f"the server at {arguments.url} has no models" + (" that are ready" if arguments.ready else ""))
    else:
        print(format_models(states, [described[state.name, state.version] for state in states]))
    return 0


def format_models(states: Sequence[ModelState], described: Sequence[ModelDescription | None]) -> str:
    """A line for each version; a column that would be empty is left out. Pure."""
    rows = [["NAME", "VERSION", "LABELS", "STATE", "PLATFORM", "REASON"]]
    for state, model in zip(states, described, strict=True):
        labels = ",".join(_labels(model, state)) if model else ""
        platform = "" if model is None else model.platform + (f" over {model.runs}" if model.runs else "")
        rows.append([state.name, state.version or "-", labels, state.state, platform, state.reason])
    kept = [index for index, _ in enumerate(rows[0]) if any(row[index] for row in rows[1:])]
    return format_table([[row[index] for index in kept] for row in rows])


def _describe(server: Server, state: ModelState) -> ModelDescription | None:
    """What is known of a version; None if it is not ready, or was unloaded meanwhile."""
    if not state.ready:
        return None
    try:
        return server.describe(state.name, state.version)
    except ServerUnreachable:
        raise
    except PasarelaError:
        return None


def _labels(model: ModelDescription, state: ModelState) -> list[str]:
    return sorted(label for label, version in model.labels.items() if str(version) == state.version)
