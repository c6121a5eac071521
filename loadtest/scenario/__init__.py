"""What a load test is to do, as a file says it: read, checked at once, frozen."""

from loadtest.scenario.loads import (
    BurstLoad,
    ClosedLoad,
    FindRateLoad,
    KneeLoad,
    Load,
    OpenLoad,
    RampLoad,
    StepsLoad,
)
from loadtest.scenario.objectives import Bound, Objectives
from loadtest.scenario.read import ScenarioError, load_scenario, scenario_names
from loadtest.scenario.requests import (
    DetectRequests,
    LeaverRequests,
    RawRequests,
    Requests,
    SlowRequests,
    StreamRequests,
)
from loadtest.scenario.scenario import Scenario, ServerPart

__all__ = [
    "Bound",
    "BurstLoad",
    "ClosedLoad",
    "DetectRequests",
    "FindRateLoad",
    "KneeLoad",
    "LeaverRequests",
    "Load",
    "Objectives",
    "OpenLoad",
    "RampLoad",
    "RawRequests",
    "Requests",
    "Scenario",
    "ScenarioError",
    "ServerPart",
    "SlowRequests",
    "StepsLoad",
    "StreamRequests",
    "load_scenario",
    "scenario_names",
]
