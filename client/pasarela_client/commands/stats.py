"""`pasarela stats`: what have the models done?"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from pasarela_client.commands import WrongUsage
from pasarela_client.commands.connection_flags import connection_of
from pasarela_client.commands.tables import format_table
from pasarela_client.commands.ticks import ticks
from pasarela_client.errors import DeadlineExpired, ModelUnavailable, PasarelaError, ServerUnreachable
from pasarela_client.statistics import STAGES, Counts, ModelTraffic, Statistics

if TYPE_CHECKING:
    from pasarela_client.sync.control import Server

_EPILOG = """\
examples:
  pasarela stats                                  all models, since they were loaded
  pasarela stats garments_onnx                    one model, with its batches by size
  pasarela stats --watch 10                       then, every 10 s, what was added meanwhile; outlives the server
  pasarela stats --watch 1 --count 60 --json > minute.jsonl

columns:
  OK FAILED             requests that were answered, and that failed
  ROWS EXECUTIONS       inferences (a request of n rows counts n times), and the batches in which they were executed
  BATCH                 rows of a batch, on average
  TOTAL MS              a request on the server, on average, and of it:
  WAIT INPUT INFER OUTPUT   waiting for an instance, making the input (decoding), the model, making the answer

pasarela top shows the same live, with percentiles; pasarela doctor says what to make of it.

exit codes: 0 done; 1 no such model, or the server keeps no statistics; 2 wrong usage; 3 no server; 130 Ctrl-C
"""
_TITLES: Final = {"queue": "WAIT MS", "input": "INPUT MS", "infer": "INFER MS", "output": "OUTPUT MS"}
_LONGEST_S: Final = 86400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = "Tells what models have done: requests, failures, batches, and where the time went."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", nargs="?", default="", metavar="MODEL", help="only this one (default: all)")
    parser.add_argument("--model-version", default="", metavar="N", help="version of it (default: all that are ready)")
    parser.add_argument("--watch", type=float, metavar="S", help="go on, every S seconds, with what was added")
    parser.add_argument("--count", type=int, metavar="N", help="with --watch: end after N times (default: never)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON a version")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait (default: 10)")


def run(arguments: argparse.Namespace) -> int:
    """Prints the statistics; returns the exit code.

    Raises:
        WrongUsage: A flag makes no sense.
        PasarelaError: The server did not say.
    """
    from pasarela_client.sync.control import Server

    if arguments.watch is not None and not (math.isfinite(arguments.watch) and 0 < arguments.watch <= _LONGEST_S):
        raise WrongUsage(f"--watch is a time above 0, not {arguments.watch:g}")
    if arguments.count is not None and (arguments.watch is None or arguments.count < 1):
        raise WrongUsage("--count is at least 1, and for --watch")
    if arguments.model_version and not arguments.model:
        raise WrongUsage("--model-version is for one model; name it")
    with Server(arguments.url, timeout_s=arguments.timeout, connection=connection_of(arguments)) as server:
        last = server.statistics(arguments.model, arguments.model_version)
        _print(last, one=bool(arguments.model), as_json=arguments.json, url=arguments.url)
        if arguments.watch is None:
            return 0
        return _watch(server, last, arguments)


def _watch(server: Server, last: Statistics, arguments: argparse.Namespace) -> int:
    """Prints what was added, again and again; a server that goes away is waited for."""
    lost: PasarelaError | None = None
    for _ in ticks(arguments.watch, arguments.count):
        try:
            now = server.statistics(arguments.model, arguments.model_version)
        except (ServerUnreachable, DeadlineExpired, ModelUnavailable) as error:
            if lost is None:
                print(f"pasarela: {error}; trying again", file=sys.stderr)
            lost = error
            continue
        lost = None
        traffic = now - last
        if not arguments.json:
            print(f"\n{time.strftime('%H:%M:%S')}, in {traffic.seconds:.1f} s")
        _print(traffic, one=bool(arguments.model), as_json=arguments.json, url=arguments.url)
        last = now
    if lost is not None:
        raise lost
    return 0


def _print(versions: Sequence[Counts], *, one: bool, as_json: bool, url: str) -> None:
    if as_json:
        for each in versions:
            print(json.dumps(each.to_dict(), ensure_ascii=False), flush=True)
    elif not versions:
        print(f"the server at {url} has no model that is ready", flush=True)
    else:
        print(format_counts(versions, batches=one), flush=True)


def format_counts(versions: Iterable[Counts], *, batches: bool = False) -> str:
    """A line for each version. Pure.

    Args:
        versions: What they did; of a difference of two readings, rates are shown, too.
        batches: Whether the batches by size are added.
    """
    found = list(versions)
    rates = any(isinstance(each, ModelTraffic) for each in found)
    titles = ["MODEL", "VERSION", *(["REQ/S"] if rates else []), "OK", "FAILED", "ROWS", "EXECUTIONS", "BATCH"]
    rows = [[*titles, "TOTAL MS", *_TITLES.values()]]
    for each in found:
        rate = [f"{each.requests_per_s:.1f}"] if isinstance(each, ModelTraffic) else []
        counts = [each.answered.count, each.failed.count, each.rows, each.executions]
        times = [each.answered.mean_ms, *map(each.mean_ms, STAGES)]
        rows.append(
            [
                each.name,
                each.version,
                *rate,
                *map(str, counts),
                f"{each.mean_batch_rows:.1f}" if each.executions else "-",
                *(f"{ms:.2f}" if each.answered.count else "-" for ms in times),
            ]
        )
    text = format_table(rows, right=range(2, len(rows[0])))
    return "\n\n".join([text, *filter(None, map(_format_batches, found))]) if batches else text


def _format_batches(counts: Counts) -> str:
    """How often batches of each size were executed, and how long that took."""
    if not counts.batches:
        return ""
    rows = [["ROWS", "EXECUTIONS", "SHARE", "MS A BATCH", "MS A ROW"]]
    for batch in counts.batches:
        share = batch.executions / sum(each.executions for each in counts.batches)
        times = [f"{batch.mean_ms:.2f}", f"{batch.mean_ms / max(1, batch.rows):.2f}"]
        rows.append([str(batch.rows), str(batch.executions), f"{share:.0%}", *times])
    return f"batches of {counts.name} {counts.version}\n{format_table(rows, right=range(5), indent='  ')}"
