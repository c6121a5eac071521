"""Makes the report of a finished load test again: `python -m loadtest.report --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtest.report.document import NoReport
from loadtest.report.write import write_report

_EPILOG = """\
examples:
  python -m loadtest.report loadtest/reports/20261126-101500
  python -m loadtest.report loadtest/reports/20261126-101500 --compare loadtest/reports/20261125-090000

A run leaves its report by itself; this makes it again, after an update of the project or to compare it with another
run. Changes are marked where they are beyond the noise of both runs; the page says the rule.

exit codes: 0 done; 1 the folder holds no run, or the report cannot be written; 2 wrong usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the report and prints where it is; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.report",
        description="Writes report.html and report.json into the folder of a load test.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="FOLDER", help="where the load test left its records")
    parser.add_argument("--compare", type=Path, metavar="OTHER", help="an earlier run: its folder or its report.json")
    arguments = parser.parse_args(argv)
    try:
        page = write_report(arguments.run, compare=arguments.compare)
    except (NoReport, OSError) as error:
        print(f"loadtest.report: {error}", file=sys.stderr)
        return 1
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
