"""The load test as Locust loads it.

`python loadtest/run.py` starts a server and runs this against it, headless. With a server that runs already, and with
Locust's own page:

    locust -f loadtest/locustfile.py --host 127.0.0.1:8001 --scenario open

and on several machines, which need the project and the time of day:

    locust -f loadtest/locustfile.py --master --host 10.0.0.5:8001 --scenario open
    locust -f loadtest/locustfile.py --worker --master-host 10.0.0.1
"""

from __future__ import annotations

import functools
import signal
import sys
from pathlib import Path
from typing import Any

import gevent
import grpc.experimental.gevent as grpc_gevent
from locust import events
from locust.runners import WorkerRunner

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtest.conduct.shape import ScenarioShape, set_stage
from loadtest.folders import REPORTS
from loadtest.objectives import judged
from loadtest.records import RunFacts
from loadtest.scenario import ScenarioError, load_scenario
from loadtest.summary import describe_run
from loadtest.users.arrivals import ArrivalUser
from loadtest.users.detect import DetectUser
from loadtest.users.leaver import LeaverUser
from loadtest.users.raw import RawUser
from loadtest.users.slow import SlowUser
from loadtest.users.stream import StreamUser

__all__ = [
    "ArrivalUser",
    "DetectUser",
    "LeaverUser",
    "RawUser",
    "ScenarioShape",
    "SlowUser",
    "StreamUser",
]

grpc_gevent.init_gevent()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _declare_flags(parser: Any) -> None:
    add = parser.add_argument
    add("--scenario", default="closed", env_var="PASARELA_SCENARIO", help="a file, or the name of a shipped scenario")
    add("--set", action="append", metavar="KEY=VALUE", include_in_web_ui=False, help="replaces a value of the scenario")
    add("--run-folder", default="", include_in_web_ui=False, help="where the records go (default: one in --reports)")
    add("--reports", default=str(REPORTS), include_in_web_ui=False, help="where runs get folders of their own")
    add("--server-ca", default="", include_in_web_ui=False, help="certificates that may sign for the server (PEM)")
    add("--token-file", default="", include_in_web_ui=False, help="a file that holds the token to send")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _set_stage(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    if not isinstance(environment.runner, WorkerRunner):
        try:
            load_scenario(options.scenario, options.set or ())
        except ScenarioError as error:
            print(f"loadtest: {error}", file=sys.stderr)
            sys.exit(2)
        if options.headless:
            # Locust's own way would end the greenlet that happens to run, and the request that it waits for.
            gevent.signal_handler(signal.SIGINT, _cut_short, environment)
    set_stage(environment, functools.partial(_conclude, environment))


def _cut_short(environment: Any) -> None:
    conductor = environment.shape_class.conductor
    if conductor is None:
        environment.runner.quit()
    else:
        conductor.cut_short()


def _conclude(environment: Any, folder: Path, facts: RunFacts) -> None:
    judged(folder, facts).write(folder)
    if not environment.parsed_options.run_folder:  # who names a folder looks at it
        from loadtest.report.write import write_report

        print(describe_run(folder))
        print(f"report: {write_report(folder)}", flush=True)
