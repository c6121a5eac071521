"""`pasarela load`: have the server load a model, or load it anew."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pasarela_client.commands import WrongUsage
from pasarela_client.commands.connection_flags import connection_of
from pasarela_client.commands.patience import Patience
from pasarela_client.commands.permission import explained
from pasarela_client.errors import InvalidRequest, PasarelaError, ServerUnreachable

if TYPE_CHECKING:
    from pasarela_client.sync.control import Server

_EPILOG = """\
examples:
  pasarela load garments                          as it lies in the repository now
  pasarela load garments_onnx garments_int8       one after the other
  pasarela load garments_onnx --config two.pbtxt  with another configuration, until it is loaded again
  pasarela load trial --file 1/model.onnx=best.onnx
                                                  with a file that stands in for the repository's

The server must leave loading to its clients: pasarela-server --model-control-mode explicit --load-model '*'
A load that fails changes nothing: what answered before goes on to do so. When this command is given up, the server
goes on loading.

exit codes: 0 all are READY; 1 some are not (stderr says why); 2 wrong usage; 3 no server; 130 Ctrl-C
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = "Has the server load models and waits until they are READY."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("models", nargs="+", metavar="MODEL", help="models of the server's repository")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a config.pbtxt, or its JSON form, instead of the repository's"
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="PATH=FILE",
        help="this file instead of the repository's at PATH inside the model's folder; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON a model")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="S", help="seconds to wait (default: 600)")


def run(arguments: argparse.Namespace) -> int:
    """Loads; returns the exit code.

    Raises:
        WrongUsage: A flag makes no sense.
        ServerUnreachable: Nobody answers.
        InvalidRequest: The configuration is none, or a file cannot be read.
    """
    from pasarela_client.sync.control import Server

    if len(arguments.models) > 1 and (arguments.config or arguments.file):
        raise WrongUsage("--config and --file are for one model")
    files = dict(map(_parse_file, arguments.file))
    failed = 0
    with Server(arguments.url, connection=connection_of(arguments)) as server:
        for model in arguments.models:
            begun_s = time.monotonic()
            try:
                with Patience(f"loading {model}"):
                    server.load(model, config=arguments.config, files=files, timeout_s=arguments.timeout)
            except (ServerUnreachable, InvalidRequest):
                raise
            except PasarelaError as error:
                failed += 1
                _report_failure(model, explained(error), as_json=arguments.json)
            else:
                _report(server, model, time.monotonic() - begun_s, as_json=arguments.json)
    return 1 if failed else 0


def _parse_file(text: str) -> tuple[str, Path]:
    path, equals, file = text.partition("=")
    if not (path and equals and file):
        raise WrongUsage(f"--file looks like 1/model.onnx=best.onnx, not {text!r}")
    return path, Path(file)


def _report(server: Server, model: str, seconds: float, *, as_json: bool) -> None:
    try:
        versions = [state.version for state in server.models() if state.name == model and state.ready]
    except PasarelaError:
        versions = []
    if as_json:
        told = {"model": model, "loaded": True, "versions": versions, "seconds": round(seconds, 3)}
        print(json.dumps(told, ensure_ascii=False), flush=True)
    else:
        which = f" version{'s' if len(versions) > 1 else ''} {', '.join(versions)}" if versions else ""
        print(f"{model}{which} READY after {seconds:.1f} s", flush=True)


def _report_failure(model: str, message: str, *, as_json: bool) -> None:
    print(f"pasarela: {message}", file=sys.stderr)
    if as_json:
        print(json.dumps({"model": model, "loaded": False, "error": message}, ensure_ascii=False), flush=True)
