"""What scenarios come to, in a few words, for the terminal."""

from __future__ import annotations

from loadtest.plan.fixed import fixed_steps
from loadtest.scenario import FindRateLoad, KneeLoad, Requests, Scenario, ScenarioError, load_scenario, scenario_names
from loadtest.scenario.loads import Load
from loadtest.scenario.values import format_duration
from pasarela_client.commands.tables import format_table


def list_scenarios() -> str:
    """The shipped scenarios: name, length, question."""
    rows = [["scenario", "takes", "question"]]
    for name in scenario_names():
        try:
            scenario, _ = load_scenario(name)
        except ScenarioError as error:
            rows.append([name, "", str(error).splitlines()[0]])
        else:
            rows.append([name, _length(scenario.load), scenario.title])
    return format_table(rows, right=(1,))


def describe_scenario(scenario: Scenario) -> str:
    """What is sent, how much of it, how long."""
    total = sum(entry.weight for entry in scenario.requests)
    sent = ", ".join(
        _entry(entry, entry.weight / total if len(scenario.requests) > 1 else None) for entry in scenario.requests
    )
    return f"{sent}; {_load(scenario.load)}; {_length(scenario.load)}"


def _entry(entry: Requests, share: float | None) -> str:
    part = "" if share is None else f"{share:.0%} "
    return f"{part}{entry.user} {entry.model}"


def _load(load: Load) -> str:
    if isinstance(load, FindRateLoad):
        return f"a search for the rate that keeps {load.percentile:g} % within {load.limit_ms:g} ms"
    if isinstance(load, KneeLoad):
        return f"{load.users} busy users, then a search for the rate that is kept up with"
    steps = [step.name for step in fixed_steps(load) if step.counts]
    return ", ".join(steps) if len(steps) <= 8 else f"{steps[0]} … {steps[-1]} ({len(steps)} steps)"


def _length(load: Load) -> str:
    if isinstance(load, FindRateLoad | KneeLoad):
        return f"up to {format_duration(round(load.warm_up + load.saturate + load.max_probes * load.probe))}"
    return format_duration(sum(step.seconds for step in fixed_steps(load)))
