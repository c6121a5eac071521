"""Is the model there at all? Rules over what the server says of its versions."""

from __future__ import annotations

from collections.abc import Sequence

from pasarela_client.doctor.finding import Finding, Severity
from pasarela_client.models import ModelState

_NEXT = {
    "LOADING": "wait: it is being loaded",
    "UNLOADING": "load it again: `pasarela load`, or put it back into the repository",
    "UNKNOWN": "load it: `pasarela load`, or name it with `--load-model` where the server starts",
}
_REPAIR = "put right what the reason says; a server that watches its repository then loads it again by itself"


def judge_states(name: str, version: str, states: Sequence[ModelState]) -> list[Finding]:
    """What the states of a model's versions mean.

    Args:
        name: The model.
        version: The version that was named; empty if none was.
        states: Of all versions of this model.
    """
    ready = [state for state in states if state.ready]
    findings = []
    for state in states:
        if state.ready:
            continue
        what = f"'{name}'" + (f" version {state.version}" if state.version else "")
        reason = f": {state.reason}" if state.reason else ", and the server does not say why"
        needed = not ready or version == state.version
        findings.append(
            Finding(
                "not-ready",
                Severity.PROBLEM if needed else Severity.NOTE,
                f"{what} is {state.state}{reason}",
                "it answers no request" if needed else "other versions of it answer",
                _NEXT.get(state.state, _REPAIR),
            )
        )
    return findings
