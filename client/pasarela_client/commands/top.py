"""`pasarela top`: what do the models do right now?"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pasarela_client.commands import WrongUsage
from pasarela_client.commands.connection_flags import connection_of
from pasarela_client.commands.ticks import ticks

if TYPE_CHECKING:
    from pasarela_client.sync.control import Server
    from pasarela_client.top.looking import Look
    from pasarela_client.top.reading import Reading
    from pasarela_client.top.watch import View

_EPILOG = """\
examples:
  pasarela top                                    on a terminal: live, until q or Ctrl-C
  pasarela top 'garments_*' --sort p99 --busy     some models, the slowest first, no idle ones
  pasarela top --once                             one look over 2 s
  pasarela top --interval 10 --json >> load.jsonl a line of JSON every 10 s
  pasarela top --url gpu-box:8001 --metrics-url http://gpu-box:8002/metrics

columns (over the last interval, on the server):
  REQ/S FAIL/S ROWS/S   requests answered, requests failed, inferences, each a second
  BATCH                 rows of a batch, on average
  QUEUE                 requests that wait for an instance, at the end of the interval
  USE                   share of the time in which the model's instances computed; - if it computes nothing itself
  P50 P90 P99           latencies from request to response, as well as the buckets of the histogram tell
  WAIT INPUT INFER OUTPUT   where the time of a request went, on average

Rates and times come from the server's statistics (gRPC). QUEUE and the percentiles come from its metrics (HTTP): they
are - where those cannot be read. A narrow terminal shows fewer columns; what is piped shows all.

keys: q quit, s sort by the next column, r the other way round, d every stage, b busy ones only, up and down scroll

exit codes: 0 done; 1 the server does not say; 2 wrong usage; 3 no server; 130 Ctrl-C
"""
_LONGEST_S: Final = 86400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = (
        "Shows what the models of a server do right now: requests, failures, batches, queues, latencies,\n"
        "the time by stage, and how busy instances are. Works with Triton, too."
    )
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("models", nargs="*", metavar="MODEL", help="only these; shell patterns, quoted (default: all)")
    parser.add_argument("--interval", type=float, default=2.0, metavar="S", help="seconds between looks (default: 2)")
    parser.add_argument("--count", type=int, metavar="N", help="end after N intervals (default: never)")
    parser.add_argument("--once", action="store_true", help="the same as --count 1")
    parser.add_argument("--json", action="store_true", help="print one line of JSON an interval")
    parser.add_argument(
        "--sort",
        default="name",
        metavar="COLUMN",
        help="name, requests, failures, rows, batch, queue, use, p50, p90 or p99; the largest first (default: name)",
    )
    parser.add_argument("--reverse", action="store_true", help="sort the other way round")
    parser.add_argument("--busy", action="store_true", help="only models that do anything")
    parser.add_argument("--stages", action="store_true", help="every stage of a request, below its model")
    parser.add_argument(
        "--metrics-url", metavar="URL", help="the server's metrics; none: do without (default: port 8002 of its host)"
    )
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="seconds to wait (default: 5)")


def run(arguments: argparse.Namespace) -> int:
    """Shows until it is enough; returns the exit code.

    Raises:
        WrongUsage: A flag makes no sense.
        ServerUnreachable: Nobody answers at the start, or at the end of a number of intervals.
        PasarelaError: The server did not say.
    """
    from pasarela_client.sync.control import Server
    from pasarela_client.top.asking import Watched, check_metrics_url, default_metrics_url
    from pasarela_client.top.reading import Lost
    from pasarela_client.top.rows import SORTS

    if not (math.isfinite(arguments.interval) and 0 < arguments.interval <= _LONGEST_S):
        raise WrongUsage(f"--interval is a time above 0, not {arguments.interval:g}")
    if arguments.count is not None and arguments.count < 1:
        raise WrongUsage(f"--count is at least 1, not {arguments.count}")
    if arguments.sort not in SORTS:
        raise WrongUsage(f"--sort takes one of {', '.join(SORTS)}, not {arguments.sort!r}")
    if arguments.metrics_url is None:
        metrics_url = default_metrics_url(arguments.url)
    else:
        metrics_url = "" if arguments.metrics_url == "none" else check_metrics_url(arguments.metrics_url)
    count = 1 if arguments.once else arguments.count
    connection = connection_of(arguments).having(retries=0)  # it looks again anyway
    with Server(arguments.url, timeout_s=arguments.timeout, connection=connection) as server:
        watched = Watched(server, metrics_url)
        first = watched.look()
        if isinstance(first, Lost):
            raise first.error
        if count is None and not arguments.json and _is_terminal():
            _show_live(server, watched.look, first, arguments)
            return 0
        return _print_blocks(watched.look, first, arguments, count)


def _is_terminal() -> bool:
    """Whether there is a terminal that can be drawn on, and keys."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        from pasarela_client.top.screen import usable
    except ImportError:  # a Python without curses, as on Windows
        return False
    return usable()


def _show_live(server: Server, look: Look, first: Reading, arguments: argparse.Namespace) -> None:
    """Shows on the whole terminal until the user has enough."""
    from pasarela_client.top.looking import Looking
    from pasarela_client.top.screen import Screen
    from pasarela_client.top.watch import Watch

    screen = Screen(
        names=arguments.models,
        busy=arguments.busy,
        sort=arguments.sort,
        reverse=arguments.reverse,
        stages=arguments.stages,
        every_s=arguments.interval,
        colour=not os.environ.get("NO_COLOR"),
    )
    looking = Looking(look, Watch(arguments.url), arguments.interval, first)
    try:
        screen.run(looking.views)
    finally:
        looking.stop()
        server.close()


def _print_blocks(look: Look, first: Reading, arguments: argparse.Namespace, count: int | None) -> int:
    """Prints a block, or a line of JSON, an interval."""
    from pasarela_client.top.reading import Lost
    from pasarela_client.top.watch import Watch

    watch = Watch(arguments.url)
    watch.see(first)
    last: Reading | Lost = first
    for number in ticks(arguments.interval, count):
        last = look()
        _print(watch.see(last), arguments, first=number == 1)
    if isinstance(last, Lost):
        raise last.error
    return 0


def _print(view: View, arguments: argparse.Namespace, *, first: bool) -> None:
    from pasarela_client.top.layout import Wishes, format_lines, plain
    from pasarela_client.top.rows import choose

    rows = choose(
        view.rows, names=arguments.models, busy=arguments.busy, sort=arguments.sort, reverse=arguments.reverse
    )
    if arguments.json:
        print(json.dumps(view.to_dict(rows), ensure_ascii=False), flush=True)
        return
    wishes = Wishes(arguments.sort, arguments.reverse, arguments.stages)
    lines: Sequence[str] = [plain(line) for line in format_lines(view, rows, wishes)]
    print("\n".join(lines if first else ["", *lines]), flush=True)
