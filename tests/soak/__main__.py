"""`make soak`: mixed load and reloads for an hour; memory, threads, descriptors and answers stay right. See `--help`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.clients import Load, frames, images, library, library_stream, tensors
from tests.chaos.models import write_repository
from tests.chaos.served import ChaosError, Served, wait_for
from tests.chaos.tally import Counts
from tests.soak.clients import labelled, leavers, shared_memory, wrong
from tests.soak.publisher import Publisher
from tests.soak.samples import Sample, growth

MOST_GROWTH = 0.02
_CLIENTS = (tensors, tensors, labelled, images, frames, library, library_stream, shared_memory, wrong, leavers)
_SAMPLE_S = 2.0
_LINE_S = 60.0
_BEFORE_S = 15.0
_QUIET_S = 40.0
_LOOKS = 100
_LEAST_MINUTES = 0.5
_EPILOG = """\
Clients ask for tensors (the newest version, and one by label), images, streams, tensors in shared memory; some ask
wrongly, some leave in the middle. Meanwhile versions are published, labels move and go back, versions are taken back.
Every answer is compared with the right one.

exit codes: 0 all is well; 1 memory grew, something is left, an answer was wrong or missing; 2 wrong usage; 130 Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, prints a line a minute and a report, and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N", help="how long (default: 60)")
    parser.add_argument(
        "--frontends", type=int, default=0, metavar="N", help="front processes of the server (default: 0)"
    )
    options = parser.parse_args(arguments)
    if not options.minutes >= _LEAST_MINUTES:
        parser.error(f"--minutes is {_LEAST_MINUTES:g} or more: in less nothing can be said of growth")
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            return _soak(Path(folder), options.minutes * 60, options.frontends)
    except KeyboardInterrupt:
        return 130
    except ChaosError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


_POOLED = min(32, (os.cpu_count() or 1) + 4)
"""Threads of asyncio's own pool, which begins them when many ask at a time and keeps them. What leaks, leaks at each of
dozens of changes, and is more than that."""


def _soak(folder: Path, whole_s: float, frontends: int) -> int:
    root = write_repository(folder / "models")
    publisher = Publisher(root)
    publisher.label(1)
    flags = ("--model-control-mode", "poll", "--repository-poll-secs", "1", "--repository-settle-secs", "1")
    with Served(root, folder, *flags, "--frontends", str(frontends)) as server:
        with Load(server.url, _CLIENTS) as before_load:
            before_load.pause(_BEFORE_S)
        before, early = _quiet(server), before_load.tally.counts()
        samples: list[Sample] = []
        with publisher, Load(server.url, _CLIENTS) as load:
            begun_s = time.monotonic()
            _watch(server, load, publisher, samples, begun_s, whole_s)
        publisher.tidy()
        after = _quiet(server, before)
        log = server.said()
        code = server.stop()
    counts, problems = load.tally.counts(), [*publisher.faults, *map(repr, (*before_load.broken, *load.broken))]
    grown = growth(samples, whole_s)
    problems += _problems(counts, grown, before, after)
    if early.answered < early.sent or early.wrong:
        problems.append(f"before any change {early.sent - early.answered} were not answered, {early.wrong} wrongly")
    if code != 0:
        problems.append(f"the server ended with code {code}")
    if "Traceback" in log:
        problems.append("the server's log has a traceback:\n" + log[log.index("Traceback") :][:3000])
    if not counts.answered or publisher.done < 1:
        problems.append("nothing happened")
    print(
        f"\n{whole_s / 60:g} minutes: {counts.sent:,} requests, {counts.answered:,} answered, {counts.refused:,} refused,"
    )
    print(f"  {counts.failed:,} failed, {counts.lost:,} lost, {counts.wrong:,} wrong; {publisher.done:,} changes")
    print(f"  memory {samples[-1].rss_mb:.0f} MB, {grown:+.2%} after the warm-up (allowed: {MOST_GROWTH:.0%})")
    print(
        f"  threads {before.threads} before, {after.threads} after; descriptors {before.descriptors}, {after.descriptors}"
    )
    for problem in problems:
        print(f"  NOT AS IT SHOULD BE: {problem}")
    for words, times in load.tally.words().items():
        print(f"  {times:,} x {words}")
    return 1 if problems else 0


def _watch(
    server: Served, load: Load, publisher: Publisher, samples: list[Sample], begun_s: float, whole_s: float
) -> None:
    line_s = _LINE_S
    while (at_s := time.monotonic() - begun_s) < whole_s:
        if not server.alive:
            raise ChaosError("the server ended")
        samples.append(_sample(server, at_s))
        if at_s >= line_s:
            line_s += _LINE_S
            counts, last = load.tally.counts(), samples[-1]
            print(
                f"{at_s / 60:4.0f} min: {counts.answered:,} answered, {counts.refused + counts.failed:,} not, "
                f"{counts.wrong:,} wrong; {publisher.done:,} changes; {last.rss_mb:.1f} MB, {last.threads} threads, "
                f"{last.descriptors} descriptors",
                flush=True,
            )
        load.pause(_SAMPLE_S)


def _problems(counts: Counts, grown: float, before: Sample, after: Sample) -> list[str]:
    said = {
        f"memory grew by {grown:.2%}": grown < MOST_GROWTH,
        f"{after.threads - before.threads} threads are left": after.threads <= before.threads + _POOLED,
        f"{after.descriptors - before.descriptors} descriptors are left": after.descriptors <= before.descriptors,
        f"{counts.wrong} answers were wrong": counts.wrong == 0,
        f"{counts.lost} requests were lost": counts.lost == 0,
        f"{counts.failed} requests failed": counts.failed == 0,
        f"{counts.refused} requests were refused": counts.refused == 0,
    }
    return [words for words, holds in said.items() if not holds]


def _sample(server: Served, at_s: float = 0.0) -> Sample:
    return Sample(at_s, server.rss_mb(), server.threads(), server.descriptors())


def _quiet(server: Served, before: Sample | None = None) -> Sample:
    """What it holds when nobody asks, since it lets go of things in its time: the least of what is seen.

    Args:
        server: The server.
        before: What it should come back to: it is given half a minute for that.
    """
    seen: list[Sample] = []

    def looked() -> bool:
        seen.append(_sample(server))
        if before is None:
            return len(seen) >= _LOOKS
        return seen[-1].threads <= before.threads and seen[-1].descriptors <= before.descriptors

    wait_for(looked, _QUIET_S)
    if before is not None:
        return seen[-1]
    return Sample(0.0, seen[-1].rss_mb, min(each.threads for each in seen), min(each.descriptors for each in seen))


if __name__ == "__main__":
    sys.exit(main())
