"""What has to hold for a run to pass: the section `objectives` of a scenario."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, PlainSerializer
from pydantic.dataclasses import dataclass

from loadtest.scenario.values import SECTION

Relation = Literal["<=", ">="]
_BOUND: Final = re.compile(r"(<=|>=)?\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(%)?")


@plain_dataclass(frozen=True, slots=True)
class Bound:
    """A value that must not be exceeded, or must be reached."""

    relation: Relation
    value: float
    """A share is a part of 1, however it was written."""
    percent: bool = False
    """Whether it is written in percent."""

    def holds(self, got: float) -> bool:
        """Whether a measured value keeps it."""
        return got <= self.value if self.relation == "<=" else got >= self.value

    def show(self, got: float) -> str:
        """A measured value as this bound is written."""
        return f"{got * 100:.3g}%" if self.percent else f"{got:.4g}"

    def __str__(self) -> str:
        written = f"{self.value * 100:g}%" if self.percent else f"{self.value:g}"
        return f"{self.relation} {written}"


def _parse(value: Any, natural: Relation, *, share: bool) -> Bound | None:
    if value is None or isinstance(value, Bound):
        return value
    example = f'"{natural} 0.1%"' if share else f'"{natural} 120"'
    found = None if isinstance(value, bool) else _BOUND.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"expected a number, with {natural} before it or not, such as {example}")
    relation, number, percent = found[1] or natural, float(found[2]), found[3] is not None
    if relation != natural:
        raise ValueError(f"expected {natural}, such as {example}: the other way round it would say nothing")
    if percent and not share:
        raise ValueError(f"expected a number without %, such as {example}")
    if share and not percent and number > 1:
        raise ValueError(f"expected a share with its %, such as {example}, or a part of 1")
    if not math.isfinite(number) or (share and percent and number > 100):
        raise ValueError("expected at most 100%" if share else "expected a number that has an end")
    return Bound("<=" if natural == "<=" else ">=", number / 100 if percent else number, percent or share)


def _bound(natural: Relation, *, share: bool = False) -> tuple[BeforeValidator, PlainSerializer]:
    return (
        BeforeValidator(lambda value: _parse(value, natural, share=share)),
        PlainSerializer(lambda bound: None if bound is None else str(bound)),
    )


AtMost = Annotated[Bound | None, *_bound("<=")]
AtLeast = Annotated[Bound | None, *_bound(">=")]
Share = Annotated[Bound | None, *_bound("<=", share=True)]


@dataclass(frozen=True, kw_only=True, config=SECTION)
class Objectives:
    """Service-level objectives. Latencies are those of answers after the warm-up; in an open loop from when due."""

    p50_ms: AtMost = None
    """Half of the requests are answered within so many milliseconds."""
    p90_ms: AtMost = None
    """The same of 90 %."""
    p95_ms: AtMost = None
    """The same of 95 %."""
    p99_ms: AtMost = None
    """The same of 99 %."""
    p999_ms: AtMost = None
    """The same of 99.9 %."""
    max_ms: AtMost = None
    """The same of all."""
    failed: Share = Bound("<=", 0.0, percent=True)
    """Requests that got no answer: refused, failed or lost. Stands at 0% unless it is said otherwise."""
    refused: Share = None
    """Those of them that the server had no room for."""
    late_frames: Share = None
    """Frames that were answered after their deadline, lost, or left out as too many were under way."""
    unsent: Share = None
    """Requests that were due and not sent, as too many were under way."""
    throughput: AtLeast = None
    """Answers per second."""
    rate: AtLeast = None
    """The requests per second that a search of `kind: find-rate` found."""
    knee: AtLeast = None
    """The requests per second that a search of `kind: knee` found."""
