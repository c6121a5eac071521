"""What all Locust users of a load test share."""

from __future__ import annotations

from typing import Any, ClassVar

from locust import User, constant, task

from loadtest.access import Way
from loadtest.plan.arrivals import Turns
from loadtest.scenario import Requests
from loadtest.users.sending import Sending, current


class ScenarioUser(User):  # type: ignore[misc]
    """A client of its own connection, who does what its entry of `requests` says."""

    abstract = True
    wait_time = constant(0)
    kind: ClassVar[str] = ""
    """The `user` of the entries that this class stands for."""

    def __init__(self, environment: Any) -> None:
        """Belongs to the run that is going on."""
        super().__init__(environment)
        sending = current()
        if sending is None:
            raise RuntimeError("users are made while a run is going on")
        self.sending: Sending = sending
        self.way: Way = sending.open()
        self.entry: Any = None

    def on_start(self) -> None:
        """Takes an entry, in turn by weight."""
        entries = entries_of(self.sending, self.kind)
        if self.kind not in self.sending.turns:
            weights = [entry.weight for entry in entries]
            self.sending.turns[self.kind] = Turns(weights, self.sending.share, self.sending.shares)
        self.entry = entries[next(self.sending.turns[self.kind])]

    def on_stop(self) -> None:
        """Closes the connection."""
        self.sending.close(self.way)

    @task  # type: ignore[untyped-decorator]
    def take_part(self) -> None:
        """One turn of what it does, once a step runs."""
        self.take_turn()

    def take_turn(self) -> None:
        """Asks if a step runs; comes back soon if none does, as Locust may want to end its users."""
        if self.sending.wait_for_step() is not None:
            self.ask()

    def ask(self) -> None:
        """One turn of what it does."""
        raise NotImplementedError


def entries_of(sending: Sending, kind: str) -> list[Requests]:
    """The entries of a scenario that are of one kind."""
    return [entry for entry in sending.scenario.requests if entry.user == kind]
