"""`pasarela doctor`: why does the model batch or not, where does its time go, and what should be changed?"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Final

from pasarela_client.commands import WrongUsage
from pasarela_client.commands.connection_flags import connection_of

_MOST_CLIENTS: Final = 1000
"""Each is a thread."""

_EPILOG = """\
examples:
  pasarela doctor garments                            watch it for 5 s while others use it
  pasarela doctor garments --probe 8 --image a.jpg    send requests of its own, from 8 clients
  pasarela doctor garments_onnx --probe 1 --json
  pasarela doctor free_size --probe 4 --shape images:3,320,320

It reads the model's configuration, the difference of two readings of its statistics and, with --probe, what the server
tells of each request of its own; then it says what it found, why that matters, and what to change. It changes nothing.

exit codes: 0 it answered, whatever it found; 1 no such model, or the server does not say; 2 wrong usage; 3 no server
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = (
        "Explains why a model does or does not batch, where its time goes, and what to change. Works with any "
        "server of the Open Inference Protocol that tells its configuration and statistics, as Triton does."
    )
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("--model-version", default="", metavar="N", help="version of it (default: the highest ready)")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="how long to watch (default: 5)")
    parser.add_argument(
        "--probe", type=int, default=0, metavar="N", help="send requests meanwhile, from N clients (default: send none)"
    )
    parser.add_argument("--image", default="", metavar="FILE", help="what probes send, to a model that takes images")
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT:A,B",
        help="shape of an input without its rows, where the model leaves it open",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="seconds to wait (default: 30)")


def run(arguments: argparse.Namespace) -> int:
    """Examines and prints; returns the exit code.

    Raises:
        WrongUsage: A flag makes no sense.
        PasarelaError: The server did not say.
    """
    from pasarela_client.commands.examinations import format_report, to_dict
    from pasarela_client.doctor.examination import Wishes, examine

    if not (math.isfinite(arguments.seconds) and arguments.seconds > 0):
        raise WrongUsage(f"--seconds is a time above 0, not {arguments.seconds:g}")
    if not 0 <= arguments.probe <= _MOST_CLIENTS:
        raise WrongUsage(f"--probe is a number of clients from 0 to {_MOST_CLIENTS}, not {arguments.probe}")
    if not arguments.probe and (arguments.image or arguments.shape):
        raise WrongUsage("--image and --shape say what probes send; add --probe N")
    wishes = Wishes(arguments.seconds, arguments.probe, arguments.image, dict(map(_parse_shape, arguments.shape)))
    if sys.stderr.isatty():
        print(f"watching {arguments.model} for {arguments.seconds:g} s …", file=sys.stderr)
    found = examine(
        arguments.url,
        arguments.model,
        arguments.model_version,
        wishes,
        arguments.timeout,
        connection_of(arguments),
    )
    print(json.dumps(to_dict(found), ensure_ascii=False) if arguments.json else format_report(found))
    return 0


def _parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition(":")
    parts = sizes.split(",")
    if not name or not all(part.strip().isdecimal() for part in parts):
        raise WrongUsage(f"--shape looks like images:3,320,320, not {text!r}")
    return name, tuple(map(int, parts))
