"""The flags of a load test, and what they stand for in a scenario."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from loadtest.folders import REPORTS

_EPILOG: Final = """\
examples:
  python loadtest/run.py                                      eight busy users for 30 s, on a server of its own
  python loadtest/run.py open --set load.rate=20              requests at 20 a second, answered or not
  python loadtest/run.py find-rate --set load.limit_ms=120    how many a second keep p99 under 120 ms?
  python loadtest/run.py my.yaml --url 10.0.0.5:8001          a scenario of yours, on a server that runs already
  python loadtest/run.py --list                               the scenarios that are there
  python loadtest/run.py stream --web                         Locust's own page

A scenario says what is sent, how much of it, how long, and what has to hold: docs/load-testing.md. Ctrl-C ends a run
early; what was measured until then is in its report.

exit codes:
  0  all objectives met
  1  more requests failed than the objectives allow, none was made, or the run could not be kept
  2  wrong usage, or a scenario that says something wrong
  3  no server
  4  requests were answered, but another objective was missed: too slow, too few, too late, no rate found
  130  Ctrl-C
"""


def parser() -> argparse.ArgumentParser:
    """The parser of `python loadtest/run.py`."""
    made = argparse.ArgumentParser(
        prog="python loadtest/run.py",
        description="Loads a server with Locust users over gRPC, as a scenario says, and leaves a report.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "scenario", nargs="?", default="closed", help="a YAML file, or the name of one of --list (default: closed)"
    )
    _scenario_flags(made)
    _server_flags(made)
    _run_flags(made)
    return made


def _scenario_flags(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("scenario").add_argument
    add("--list", action="store_true", help="list the scenarios that come with the project, and end")
    add("--check", action="store_true", help="say what the scenario comes to, or what is wrong with it, and end")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value, as in load.rate=20 or requests.0.model=garments_int8; may be given again",
    )
    add("--users", type=int, metavar="N", help="short for --set load.users=N")
    add("--rate", type=float, metavar="R", help="short for --set load.rate=R")
    add("--duration", metavar="TIME", help="short for --set load.duration=TIME, as in 45s, 5m, 1h")
    add("--model", metavar="NAME", help="the model of all entries of `requests`")
    add("--images", metavar="DIR", help="the images of all entries that send some")


def _server_flags(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("server").add_argument
    add("--url", metavar="HOST:PORT", help="a server that runs already (default: one is started, and stopped again)")
    add("--metrics-url", metavar="URL", help="its metrics, as in http://10.0.0.5:8002/metrics; for the report")
    add("--server-ca", type=Path, metavar="FILE", help="certificates that may sign for it (PEM); turns TLS on")
    add("--token-file", type=Path, metavar="FILE", help="a file that holds the token to send")
    add("--model-repository", type=Path, metavar="DIR", help="what the started server serves")
    add("--ready", type=float, metavar="S", help="seconds that it may take to get ready")


def _run_flags(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("run").add_argument
    add(
        "--workers",
        type=_count,
        default=0,
        metavar="N",
        help="Locust processes that send (default: one, in one process)",
    )
    add("--web", action="store_true", help="open Locust's own page instead of running at once")
    add("--web-port", type=int, default=8089, metavar="PORT", help="its port on this machine (default: 8089)")
    add(
        "--no-limit",
        action="store_true",
        help="do not measure what Locust itself can do (some seconds, once a week and kind of scenario)",
    )
    add("--compare", type=Path, metavar="RUN", help="an earlier run's folder, to mark in the report what changed")
    add("--reports", type=Path, default=REPORTS, metavar="DIR", help="where runs go (default: loadtest/reports)")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number of processes, got {text!r}")
    return int(text)


def overrides(arguments: argparse.Namespace, document: Mapping[str, Any]) -> list[str]:
    """All that the flags replace in a scenario's document, as `KEY=VALUE`; `--set` comes last."""
    short = [
        f"load.{name}={value}"
        for name in ("users", "rate", "duration")
        if (value := getattr(arguments, name)) is not None
    ]
    entries = document.get("requests")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if arguments.model is not None:
            short.append(f"requests.{index}.model={json.dumps(arguments.model)}")
        if arguments.images is not None and isinstance(entry, Mapping) and entry.get("user") != "raw":
            short.append(f"requests.{index}.images={json.dumps(arguments.images)}")
    if arguments.model_repository is not None:
        short.append(f"server.repository={json.dumps(str(arguments.model_repository.resolve()))}")
    if arguments.ready is not None:
        short.append(f"server.ready={arguments.ready}")
    return [*short, *arguments.set]
