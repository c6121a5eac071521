"""When a server may call itself ready."""

from __future__ import annotations

import pytest

from pasarela_server.repository.readiness import is_ready
from pasarela_server.repository.servable import State, Status

READY = Status(State.READY)
BROKEN = Status(State.UNAVAILABLE, "cut in half")
MISSING = Status(State.UNAVAILABLE, "not installed", backend_missing=True)


@pytest.mark.parametrize(
    ("statuses", "strict", "allow_empty", "expected"),
    [
        pytest.param([READY, READY], True, False, True, id="everything is there"),
        pytest.param([READY, BROKEN], True, False, False, id="a broken model holds readiness back"),
        pytest.param([READY, BROKEN], False, False, True, id="unless readiness is not strict"),
        pytest.param([READY, MISSING], True, False, True, id="a framework that is not installed does not"),
        pytest.param([MISSING], True, False, False, id="but something must be able to answer"),
        pytest.param([BROKEN], False, False, False, id="also where readiness is not strict"),
        pytest.param([READY, Status(State.LOADING)], True, False, False, id="one is still loading"),
        pytest.param([READY, Status(State.UNLOADING)], True, False, False, id="one is leaving"),
        pytest.param([], True, False, False, id="an empty repository is not ready"),
        pytest.param([], True, True, True, id="unless that was asked for"),
        pytest.param([BROKEN], True, True, False, id="asking for that excuses nothing broken"),
    ],
)
def test_readiness(statuses: list[Status], strict: bool, allow_empty: bool, expected: bool) -> None:
    assert is_ready(statuses, strict=strict, allow_empty=allow_empty) is expected
