"""Which class of users stands for which entry of a scenario."""

from __future__ import annotations

from typing import Any, Final

from loadtest.scenario import Scenario
from loadtest.users.arrivals import ArrivalUser
from loadtest.users.detect import DetectUser
from loadtest.users.leaver import LeaverUser
from loadtest.users.raw import RawUser
from loadtest.users.slow import SlowUser
from loadtest.users.stream import StreamUser

CLOSED: Final = (DetectUser, RawUser, StreamUser, SlowUser, LeaverUser)
"""Users who decide by themselves when they ask."""
ARRIVALS: Final = ArrivalUser
"""Sends what arrives, for all entries; one in each process that sends."""


def classes_for(scenario: Scenario) -> list[Any]:
    """The classes of a scenario's closed users; each gets its weight from the entries that it stands for."""
    chosen: list[Any] = []
    for kind in CLOSED:
        weight = sum(entry.weight for entry in scenario.requests if entry.user == kind.kind)
        if weight:
            kind.weight = weight
            chosen.append(kind)
    return chosen
