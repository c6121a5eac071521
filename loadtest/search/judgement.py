"""Whether a rate holds, by what the tries at it showed together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.search.probe import Probe

_CONFIDENT: Final = 1.28
"""Standard errors on one side: nine of ten."""
_FEW_FAILURES: Final = 0.01
"""The part of the requests that may fail at a rate that the server keeps up with."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a rate holds."""

    holds: bool
    """By all that is known."""
    clear: bool
    """Whether chance would hardly have it so if it were otherwise."""


Judge = Callable[[Sequence[Probe]], Judgement]
"""Judges the tries at one rate."""


def keeps_latency(percentile: float) -> Judge:
    """Judges whether so many percent of the requests kept the limit that `measure_probe` was given."""
    allowed = 1 - percentile / 100

    def judge(probes: Sequence[Probe]) -> Judgement:
        requests, missed = sum(probe.requests for probe in probes), sum(probe.missed for probe in probes)
        if not requests:
            return Judgement(holds=False, clear=False)
        low, high = wilson(missed, requests)
        return Judgement(holds=missed <= allowed * requests, clear=high <= allowed or low > allowed)

    return judge


def keeps_up(drift: float) -> Judge:
    """Judges whether the latency does not grow by more than `drift` seconds per second, and next to nothing fails.

    What stays unclear holds: where latencies jump about, a slope is soon seen that is none; real overload outgrows it.
    """

    def judge(probes: Sequence[Probe]) -> Judgement:
        requests, failed = sum(probe.requests for probe in probes), sum(probe.failed for probe in probes)
        if not requests or failed > _FEW_FAILURES * requests:
            return Judgement(holds=False, clear=bool(requests))
        known = [probe for probe in probes if math.isfinite(probe.drift_error)]
        if not known:
            return Judgement(holds=True, clear=False)
        mean = sum(probe.drift for probe in known) / len(known)
        error = math.hypot(*(probe.drift_error for probe in known)) / len(known)
        return Judgement(holds=mean - _CONFIDENT * error <= drift, clear=abs(mean - drift) > _CONFIDENT * error)

    return judge


def wilson(hits: int, trials: int, errors: float = _CONFIDENT) -> tuple[float, float]:
    """Between which shares the true one lies, if `hits` of `trials` were seen (Wilson's interval)."""
    share, square = hits / trials, errors**2
    centre = share + square / (2 * trials)
    reach = errors * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, (centre - reach) / (1 + square / trials)), min(1.0, (centre + reach) / (1 + square / trials))
