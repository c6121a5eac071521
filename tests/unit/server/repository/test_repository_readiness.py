"""When the server may call itself ready."""

from __future__ import annotations

import pytest

from pasarela_server.repository.readiness import ModelStanding, is_ready
from pasarela_server.repository.servable import State, Status

READY = Status(State.READY)
LOADING = Status(State.LOADING)
BROKEN = Status(State.UNAVAILABLE, "cut in half")
MISSING = Status(State.UNAVAILABLE, "pip install", backend_missing=True)


def promised(*statuses: Status, incomplete: bool = False) -> ModelStanding:
    return ModelStanding(statuses, promised=True, incomplete=incomplete)


def late(*statuses: Status) -> ModelStanding:
    return ModelStanding(statuses, promised=False)


@pytest.mark.parametrize(
    ("models", "strict", "allow_empty", "expected"),
    [
        ([promised(READY), promised(READY)], True, False, True),  # reason: everything is there
        ([promised(READY), promised(BROKEN)], True, False, False),  # reason: a broken model holds readiness back
        ([promised(READY), promised(BROKEN)], False, False, True),  # reason: unless readiness is not strict
        ([promised(READY), promised(MISSING)], True, False, True),  # reason: a framework that is not installed does not
        ([promised(MISSING)], True, False, False),  # reason: but something must be able to answer
        ([promised(BROKEN)], False, False, False),  # reason: also where readiness is not strict
        ([promised(READY), promised(LOADING)], True, False, False),  # reason: one is still loading
        ([promised(READY), promised(Status(State.UNLOADING))], True, False, False),  # reason: one is leaving
        ([promised(READY, BROKEN)], True, False, True),  # reason: an older version stands in for a broken one
        ([promised(READY, LOADING)], True, False, True),  # reason: a new version loads beside the old one
        ([promised(READY, BROKEN, incomplete=True)], True, False, False),  # reason: the policy named the broken one
        ([promised(READY), late(BROKEN)], True, False, True),  # reason: a bad arrival takes no server out of service
        ([promised(READY), late(LOADING)], True, False, True),  # reason: nor does one that is loading
        ([late(BROKEN)], True, True, True),  # reason: an empty repository was allowed, and this came later
        ([], True, False, False),  # reason: an empty repository is not ready
        ([], True, True, True),  # reason: unless that was asked for
        ([promised(BROKEN)], True, True, False),  # reason: asking for that excuses nothing broken
    ],
)
def test_readiness(models: list[ModelStanding], strict: bool, allow_empty: bool, expected: bool) -> None:
    assert is_ready(models, strict=strict, allow_empty=allow_empty) is expected
