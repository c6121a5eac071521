"""The Locust user that sends what arrives, for all entries of an open loop."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from loadtest.access import Way
from loadtest.scenario import DetectRequests, LeaverRequests, RawRequests, Requests
from loadtest.scenario.loads import Arriving
from loadtest.users.detect import DetectCall
from loadtest.users.leaver import LeaverCall
from loadtest.users.raw import RawCall
from loadtest.users.scenario_user import ScenarioUser
from loadtest.users.schedule import send_all
from loadtest.users.unary import Call

_CONNECTIONS: Final = 16
"""Of one process. Each is a client as the server sees it."""


class ArrivalUser(ScenarioUser):
    """Sends what its process has to send of an open loop; there is one in each process."""

    def on_start(self) -> None:
        """Gets ready what is sent; the entries stand for requests here, not for users."""
        self._mine = not self.sending.arrivals_taken
        self.sending.arrivals_taken = True
        self._done = self.sending.sent_through  # others were there before, as busy users came in between
        if self._mine:
            load = self.sending.scenario.load
            assert isinstance(load, Arriving)
            self._bound = max(1, load.max_under_way // self.sending.shares)
            connections = min(_CONNECTIONS, self._bound)
            self._ways = [self.way, *(self.sending.open() for _ in range(connections - 1))]
            self._turn = itertools.cycle(self._ways)
            self._calls = calls_of(self.sending.scenario.requests, self.way)

    def on_stop(self) -> None:
        """Closes the connections."""
        if self._mine:
            self.sending.arrivals_taken = False
            for way in self._ways[1:]:
                self.sending.close(way)
        super().on_stop()

    def take_turn(self) -> None:
        """One step of the load, also if it has ended meanwhile."""
        step = self.sending.wait_for_step(after=self._done)
        if step is None:
            return
        self._done = step.index
        if self._mine:
            if step.step.loop == "open":
                send_all(self.sending, step, self._calls, self._turn, self._bound)
            self.sending.sent_through = step.index


def calls_of(entries: Sequence[Requests], way: Way) -> list[Call]:
    """What is sent for each entry.

    Raises:
        NoImages: There are none.
        UnknownShape: There is no saying which tensors a model takes.
        grpc.RpcError: The server does not say what a model takes.
    """
    calls: list[Call] = []
    for entry in entries:
        match entry:
            case DetectRequests():
                calls.append(DetectCall(entry))
            case RawRequests():
                calls.append(RawCall(entry, way))
            case LeaverRequests():
                calls.append(LeaverCall(entry))
            case _:
                raise TypeError(f"user: {entry.user} paces itself")
    return calls
