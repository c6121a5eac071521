"""A whole scenario, and what has to fit together in it."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from loadtest.scenario.loads import ClosedLoad, Load, StepsLoad
from loadtest.scenario.objectives import Objectives
from loadtest.scenario.requests import Requests
from loadtest.scenario.values import SECTION, Duration

PACED_BY_ITSELF: Final = frozenset({"stream", "slow"})
"""Users whose requests are frames of a stream: an open loop has no requests of theirs to send one by one."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class ServerPart:
    """The server that is started for the run. Not looked at where `--url` names one that runs already."""

    repository: str = "model_repository"
    """The model repository that it serves, relative to the project's folder."""
    flags: tuple[str, ...] = ()
    """More of its flags, one word each: `[--frontends, "2"]`."""
    ready: Annotated[Duration, Field(gt=0)] = 180.0
    """How long loading its models may take."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class Scenario:
    """A load test: a question, what is sent, how much of it, and what has to hold."""

    title: Annotated[str, Field(min_length=1)]
    """The question that it answers, in a sentence."""
    requests: Annotated[tuple[Annotated[Requests, Field(discriminator="user")], ...], Field(min_length=1)]
    """What is sent: a list, each entry with its `user` and its `weight`."""
    load: Annotated[Load, Field(discriminator="kind")]
    """How much of it, and how long."""
    objectives: Objectives = Objectives()
    """What has to hold."""
    server: ServerPart = ServerPart()
    """The server that is started."""
    finish: Annotated[Duration, Field(ge=0, le=3600)] = 30.0
    """How long requests under way may take when the load has ended; what is left then is lost."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        paced = [entry.user for entry in self.requests if entry.user in PACED_BY_ITSELF]
        if paced and not self.closed:
            raise ValueError(
                f"requests: {paced[0]} paces itself, so it goes with kind: closed, or with steps of users; "
                f"kind: {self.load.kind} sends requests one by one: detect, raw or leaver"
            )
        for name, kind in (("rate", "find-rate"), ("knee", "knee")):
            if getattr(self.objectives, name) is not None and self.load.kind != kind:
                raise ValueError(f"objectives.{name}: only kind: {kind} finds one, this is kind: {self.load.kind}")
        return self

    @property
    def closed(self) -> bool:
        """Whether users decide by themselves when they ask, at least until a search begins."""
        return isinstance(self.load, ClosedLoad) or (isinstance(self.load, StepsLoad) and bool(self.load.users))

    @property
    def models(self) -> tuple[str, ...]:
        """Those that are asked, in the order of the file."""
        return tuple(dict.fromkeys(entry.model for entry in self.requests))
