"""Where Locust asks what to do: its shape, which does what the conductor of the run says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from locust import LoadTestShape
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from loadtest.access import Access
from loadtest.conduct.conductor import Conductor, Run, Tick
from loadtest.conduct.messages import BROKEN, ENDED, QUIET, RECORDS
from loadtest.conduct.taking_part import take_part
from loadtest.folders import fresh_folder
from loadtest.records import RunFacts
from loadtest.scenario import ScenarioError, load_scenario
from loadtest.scenario.read import find_scenario

_log = logging.getLogger(__name__)


class ScenarioShape(LoadTestShape):  # type: ignore[misc]
    """Runs the scenario that `--scenario` names."""

    conductor: Conductor | None = None

    def tick(self) -> Tick | None:
        """What Locust is to do next; None ends the run."""
        environment = self.runner.environment
        if isinstance(self.runner, MasterRunner) and not self.runner.clients.ready and self.conductor is None:
            _log.error("no worker is connected: start some with --worker, and then the run")
            return None
        if self.conductor is None:
            try:
                self.conductor = Conductor(environment, _run_of(environment.parsed_options, environment.host))
            except ScenarioError as error:
                _log.error("%s", error)
                return None
        return self.conductor.tick()


def _run_of(options: Any, host: str | None) -> Run:
    scenario, document = load_scenario(options.scenario, options.set or ())
    folder = Path(options.run_folder) if options.run_folder else fresh_folder(Path(options.reports))
    access = Access(host or "127.0.0.1:8001", options.server_ca, options.token_file)
    return Run(scenario, document, find_scenario(options.scenario).stem, access, folder)


def set_stage(environment: Any, conclude: Callable[[Path, RunFacts], None]) -> None:
    """Connects a process of Locust with the run: those who send, and who conducts.

    Args:
        environment: Locust's, with its runner.
        conclude: Called when the facts of a run are written, with its folder.
    """
    runner = environment.runner
    if isinstance(runner, LocalRunner | WorkerRunner):
        take_part(environment)
    if isinstance(runner, WorkerRunner):
        return
    shape: ScenarioShape = environment.shape_class

    def receive(msg: Any, **_: Any) -> None:
        if shape.conductor is not None:
            shape.conductor.receive(msg.type, msg.data)

    for message in (RECORDS, QUIET, BROKEN, ENDED):
        runner.register_message(message, receive)

    def stopping(**_: Any) -> None:
        if shape.conductor is not None:
            shape.conductor.abandon()

    def stopped(**_: Any) -> None:
        conductor, shape.conductor = shape.conductor, None
        if conductor is not None and conductor.concluded:
            conclude(conductor.folder, RunFacts.read(conductor.folder))

    environment.events.test_stopping.add_listener(stopping)
    environment.events.test_stop.add_listener(stopped)
