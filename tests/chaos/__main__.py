"""`make chaos`: faults on a real server under load, a row each; see `--help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.page import Measured, write_page
from tests.chaos.row import Fault, NotHere
from tests.chaos.served import ChaosError
from tests.chaos.table import FAULTS

_EPILOG = """\
Each fault is done to a server of its own, while clients ask it all the time. What they sent is counted as answered,
refused (nothing was done, and the client knows it), failed (ended with an error) or lost (no word within 20 s);
every answer is compared with the right one. Nothing may be lost, and nothing wrong.

exit codes: 0 every row holds; 1 one does not; 2 wrong usage; 130 Ctrl-C
"""
_HEADER = (
    f"{'fault':15} {'sent':>7} {'answered':>8} {'refused':>7} {'failed':>6} {'lost':>4} {'wrong':>5} {'recover':>8}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the table, prints a row for each fault, and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--list", action="store_true", help="say what there is, and do nothing")
    parser.add_argument("--only", nargs="+", choices=names, metavar="FAULT", help="these alone")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table into this page, between its markers")
    parser.add_argument("--told", action="store_true", help="show what clients were told, too")
    options = parser.parse_args(arguments)
    if options.list:
        for fault in FAULTS:
            print(f"{fault.name:15} {fault.what}")
        return 0
    if options.page and options.only:
        parser.error("a page needs the whole table: leave out --only")
    chosen = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    try:
        measured = _run(chosen, told=options.told)
    except KeyboardInterrupt:
        return 130
    if options.page:
        write_page(options.page, measured)
    bad = [each.fault.name for each in measured if each.problems]
    absent = [each.fault.name for each in measured if each.absent]
    print(f"{len(measured) - len(bad) - len(absent)} of {len(measured)} rows hold", end="")
    print("".join((f"; not run: {', '.join(absent)}" if absent else "", f"; not: {', '.join(bad)}" if bad else "")))
    return 1 if bad else 0


def _run(faults: Sequence[Fault], *, told: bool) -> list[Measured]:
    print(_HEADER)
    measured = []
    for fault in faults:
        each = try_fault(fault)
        measured.append(each)
        counts = each.outcome.counts if each.outcome else None
        if counts is None or each.outcome is None:
            print(f"{fault.name:15} {each.absent or each.problems[0]}", flush=True)
            continue
        print(
            f"{fault.name:15} {counts.sent:7,} {counts.answered:8,} {counts.refused:7,} {counts.failed:6,} "
            f"{counts.lost:4,} {counts.wrong:5,} {each.outcome.recover_s:6.2f} s  {'; '.join(each.outcome.remarks)}",
            flush=True,
        )
        for problem in each.problems:
            print(f"{'':15} NOT AS PROMISED: {problem}", flush=True)
        if told:
            for words, times in each.outcome.told.items():
                print(f"{'':15} {times} x {words}", flush=True)
    return measured


def try_fault(fault: Fault) -> Measured:
    """Does one fault, in a folder of its own; what goes wrong with the attempt itself is a problem of the row."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        try:
            outcome = fault.run(Path(folder))
        except NotHere as error:
            return Measured(fault, None, absent=f"not run here: {error}")
        except ChaosError as error:
            return Measured(fault, None, problems=(str(error),))
        except Exception as error:  # noqa: BLE001 - one row that breaks must not keep the others from being tried
            return Measured(fault, None, problems=(f"{type(error).__name__}: {error}",))
    return Measured(fault, outcome, problems=outcome.problems, seconds=time.monotonic() - begun_s)


if __name__ == "__main__":
    sys.exit(main())
