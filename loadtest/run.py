"""Starts the server, loads it with Locust as a scenario says, leaves a report: `python loadtest/run.py --help`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtest.access import Access
from loadtest.command_line import overrides, parser
from loadtest.exit_codes import FAILED, MET, NO_SERVER, STOPPED, USAGE, exit_code
from loadtest.folders import fresh_folder
from loadtest.images import ROOT, NoImages, image_paths
from loadtest.locust_processes import LocustRun, run_locust
from loadtest.objectives import judged
from loadtest.outline import describe_scenario, list_scenarios
from loadtest.records import RUN_FILE, RunFacts
from loadtest.report.sampling import SAMPLES_FILE, sampled
from loadtest.scenario import Scenario, ScenarioError, load_scenario
from loadtest.scenario.read import find_scenario, read_document
from loadtest.server_process import ServerDidNotStart, last_line, started_server, wait_until_ready
from loadtest.summary import describe_run
from loadtest.tensors import UnknownShape
from loadtest.trial import NoAnswer, try_requests
from pasarela_client.addresses import parse_address
from pasarela_client.errors import InvalidRequest, ServerUnreachable

_ANSWERS_S: Final = 10.0
"""How long a server that runs already may take to say that it is ready."""


@dataclass(frozen=True, slots=True)
class _Server:
    """The server under test."""

    access: Access
    metrics_url: str = ""
    pid: int | None = None
    ready_s: float | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one load test and returns the exit code."""
    flags = parser()
    arguments = flags.parse_args(argv)
    if arguments.list:
        print(list_scenarios())
        return MET
    try:
        scenario, changes = _read(arguments)
    except (ScenarioError, NoImages) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return USAGE
    if arguments.check:
        print(describe_scenario(scenario))
        return MET
    if arguments.compare is not None and (fault := _cannot_compare(arguments.compare)):
        print(f"loadtest: {fault}", file=sys.stderr)
        return USAGE
    try:
        folder = fresh_folder(arguments.reports)
    except OSError as error:
        print(f"loadtest: there can be no folder for the run: {error}", file=sys.stderr)
        return USAGE
    try:
        with _server(arguments, scenario, folder) as server:
            try_requests(scenario, server.access)
            return _load(arguments, scenario, changes, server, folder)
    except (ServerDidNotStart, NoAnswer) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        unreachable = isinstance(error, NoAnswer) and not isinstance(error.error, ServerUnreachable)
        return FAILED if unreachable else NO_SERVER
    except (InvalidRequest, UnknownShape) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("loadtest: stopped", file=sys.stderr)
        return STOPPED


def _cannot_compare(run: Path) -> str:
    """Why an earlier run cannot be compared with: better known before than after; empty if it can be."""
    from loadtest.report.document import NoReport
    from loadtest.report.document import read_document as read_report

    try:
        read_report(run)
    except NoReport as error:
        return str(error)
    return ""


def _read(arguments: argparse.Namespace) -> tuple[Scenario, list[str]]:
    """The scenario as the flags change it."""
    changes = overrides(arguments, read_document(arguments.scenario))
    scenario, _ = load_scenario(arguments.scenario, changes)
    for entry in scenario.requests:
        if entry.user != "raw":
            image_paths(None if entry.images is None else Path(entry.images))
    return scenario, changes


@contextlib.contextmanager
def _server(arguments: argparse.Namespace, scenario: Scenario, folder: Path) -> Iterator[_Server]:
    """The server that the flags name, or one that is started and stopped again."""
    files = {"ca": str(arguments.server_ca or ""), "token_file": str(arguments.token_file or "")}
    if arguments.url is None:
        part = scenario.server
        repository = ROOT / part.repository
        print(f"starting a server on {repository} …", flush=True)
        with started_server(repository, folder / "server.log", part.flags, ready_s=part.ready) as started:
            access = Access(started.url, **files)
            yield _Server(access, started.metrics_url, started.pid, started.ready_s)
        return
    access = Access(arguments.url, **files)
    parse_address(arguments.url)
    if not files["ca"] and "://" not in arguments.url and not wait_until_ready(arguments.url, _ANSWERS_S):
        raise ServerDidNotStart(f"no ready server answers at {arguments.url}")
    yield _Server(access, arguments.metrics_url or "")


def _load(
    arguments: argparse.Namespace, scenario: Scenario, changes: Sequence[str], server: _Server, folder: Path
) -> int:
    """Runs Locust against a server that is there; the exit code."""
    name = str(find_scenario(arguments.scenario).resolve())
    web_port = arguments.web_port if arguments.web else None
    run = LocustRun(name, changes, server.access, folder, arguments.reports, arguments.workers, web_port)
    if web_port is not None:
        print(f"Locust's page: http://127.0.0.1:{web_port} (Ctrl-C ends it)", flush=True)
        run_locust(run)
        if _log_of(folder):
            print(f"loadtest: {_log_of(folder)}", file=sys.stderr)
        return STOPPED
    facts_of_now = _conditions(scenario)
    print(f"{scenario.title}\n  {describe_scenario(scenario)}\n  on {server.access.url}", flush=True)
    if not arguments.no_limit:
        _measure_limit(run)
    with sampled(server.pid, server.metrics_url or None, folder / SAMPLES_FILE):
        run_locust(run)
    if not (folder / RUN_FILE).exists():
        why = _log_of(folder) or "it said nothing"
        print(f"loadtest: Locust ended before there was anything: {why}", file=sys.stderr)
        return FAILED
    facts = dataclasses.replace(
        judged(folder, RunFacts.read(folder)),
        metrics_url=server.metrics_url,
        server_pid=server.pid,
        server_ready_s=server.ready_s,
        conditions=facts_of_now,
    )
    facts.write(folder)
    return _conclude(facts, folder, arguments.compare)


def _log_of(folder: Path) -> str:
    """What Locust complained of last; empty if it did not."""
    log = folder / "locust.log"
    return last_line(log) if log.exists() and log.stat().st_size else ""


def _measure_limit(run: LocustRun) -> None:
    """What the generator itself can do goes into the run's folder, so that nobody takes it for the server's limit."""
    from loadtest.generator_limit import LimitNotMeasured, generator_limit

    _, document = load_scenario(run.scenario, run.overrides)
    try:
        limit = generator_limit(document, workers=run.workers, like=run.access.url)
    except LimitNotMeasured as error:
        print(f"  the generator's own limit is not known: {error}", file=sys.stderr)
        return
    limit.write(run.folder)
    print(f"  the generator itself can do about {limit.per_second:g}/s, measured {limit.measured_on}", flush=True)


def _conclude(facts: RunFacts, folder: Path, compare: Path | None) -> int:
    # What draws the report takes seconds to import: not before the load, and not for --list.
    from loadtest.report.document import NoReport
    from loadtest.report.write import write_report

    print(f"\n{describe_run(folder)}\n")
    try:
        print(f"report: {write_report(folder, compare=compare)}")
    except (NoReport, OSError) as error:
        print(f"loadtest: there is no report: {error}", file=sys.stderr)
        return FAILED
    return exit_code(facts)


def _conditions(scenario: Scenario) -> dict[str, Any]:
    """The machine and the versions, as they are now."""
    from loadtest.benchmark.conditions import conditions

    folders = dict.fromkeys(entry.images for entry in scenario.requests if entry.user != "raw")
    images = [path for folder in folders or (None,) for path in image_paths(None if folder is None else Path(folder))]
    found = conditions(images)
    found["packages"] = {**found["packages"], "locust": metadata.version("locust")}
    if not folders:
        del found["images"]
    return found


if __name__ == "__main__":
    sys.exit(main())
