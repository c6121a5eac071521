"""The search for the highest rate that holds: bracket it, halve the bracket, confirm both ends.

`decide` is a function of what was tried so far: nothing is remembered elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadtest.search.judgement import Judge
from loadtest.search.probe import Probe

Reason = Literal["precise", "noise", "budget", "too-low", "too-high"]
"""precise: the bracket is as narrow as wanted. noise: what is inside it cannot be told apart. budget: as many tries as
allowed. too-low: even the lowest rate does not hold. too-high: even the highest holds."""

_FIRST_STRIDE: Final = 1.15
_LONGEST_STRIDE: Final = 2.0
_CONFIRMED: Final = 2
"""Tries at each end of the bracket before it is believed: one pause of the machine makes a rate fail clearly."""
_NOISE_BRACKET: Final = 4.0
"""Within so many times the precision, a rate that is unclear to the end is the answer."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How the search goes about it."""

    start: float
    """The rate that is tried first."""
    precision: float
    """The bracket is narrow enough when its ends differ by this part of the lower one."""
    repeats: int = 3
    max_probes: int = 30
    lowest: float = 0.1
    highest: float = 1e6


@dataclass(frozen=True, slots=True)
class Try:
    """What to try next."""

    rate: float
    why: str
    """In a few words, for those who watch."""


@dataclass(frozen=True, slots=True)
class Found:
    """The end of the search."""

    rate: float | None
    """The highest rate that held; None if none did."""
    low: float | None
    """The true value lies between these two; None where the search saw no end."""
    high: float | None
    reason: Reason
    probes: int


def decide(settings: SearchSettings, judge: Judge, probes: Sequence[Probe]) -> Try | Found:
    """What to do next, by all tries so far, in order."""
    if not probes:
        return Try(_within(settings, settings.start), "first")
    by_rate: dict[float, list[Probe]] = {}
    for probe in probes:
        by_rate.setdefault(probe.rate, []).append(probe)
    judged = {rate: judge(tries) for rate, tries in by_rate.items()}
    high = min((rate for rate, judgement in judged.items() if not judgement.holds), default=None)
    low = max(
        (rate for rate, judgement in judged.items() if judgement.holds and (high is None or rate < high)), default=None
    )
    if len(probes) >= settings.max_probes:
        return Found(low, low, high, "budget", len(probes))
    last = probes[-1].rate
    exhausted = len(by_rate[last]) >= settings.repeats
    if not judged[last].clear and not exhausted:
        return Try(last, "unclear, once more")
    if low is None or high is None:
        return _widen(settings, low, high, len(probes), sorted(by_rate))
    if high <= low * (1 + settings.precision) * (1 + 1e-9):
        for end, rate in (("highest that holds", low), ("lowest that fails", high)):
            if len(by_rate[rate]) < min(_CONFIRMED, settings.repeats):
                return Try(rate, f"confirms the {end}")
        return Found(low, low, high, "precise", len(probes))
    if exhausted and not judged[last].clear and high <= low * (1 + _NOISE_BRACKET * settings.precision):
        return Found(low, low, high, "noise", len(probes))
    return Try(math.sqrt(low * high), "halves the bracket")


def _widen(
    settings: SearchSettings, low: float | None, high: float | None, tried: int, rates: Sequence[float]
) -> Try | Found:
    """The next rate beyond all that were tried, in strides that grow; the end if there is none beyond.

    A stride is the square of that before it. Where a second look at the end of a narrow bracket widens it again, the
    strides are short ones at first.
    """
    if low is not None:
        if low >= settings.highest:
            return Found(low, low, None, "too-high", tried)
        return Try(_within(settings, low * _stride(settings, [rate for rate in rates if rate <= low][-2:])), "upwards")
    if high is None:
        raise AssertionError("a rate either holds or not")
    if high <= settings.lowest:
        return Found(None, None, high, "too-low", tried)
    return Try(_within(settings, high / _stride(settings, [rate for rate in rates if rate >= high][:2])), "downwards")


def _stride(settings: SearchSettings, last: Sequence[float]) -> float:
    if len(last) < 2:
        return _FIRST_STRIDE
    return min(max((last[1] / last[0]) ** 2, 1 + settings.precision), _LONGEST_STRIDE)


def _within(settings: SearchSettings, rate: float) -> float:
    return min(max(rate, settings.lowest), settings.highest)
