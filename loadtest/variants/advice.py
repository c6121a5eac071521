"""Which variant to run, by what was measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.variants.results import VariantResult, measured

TOLERATED_MAP: Final = 0.01
"""mAP50-95 that may be lost against the best variant, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run for one purpose."""

    purpose: str
    name: str
    """Of the variant."""
    why: str
    clear: bool
    """Whether it was the best in every round against every round of the next one."""


def accurate(variants: Sequence[VariantResult], tolerated: float = TOLERATED_MAP) -> list[VariantResult]:
    """Those that were measured and lose no more mAP against the best than is tolerated; all, where none was judged."""
    ran = measured(variants)
    judged = [one.map50_95 for one in ran if one.map50_95 is not None]
    if not judged:
        return ran
    return [one for one in ran if one.map50_95 is not None and one.map50_95 >= max(judged) - tolerated]


def choices(variants: Sequence[VariantResult], tolerated: float = TOLERATED_MAP) -> list[Choice]:
    """The best of the accurate ones for each purpose; throughput first, which is what is recommended."""
    pool = accurate(variants, tolerated)
    if not pool:
        return []
    purposes: tuple[tuple[str, str, bool, Callable[[float], str]], ...] = (
        ("most images a second", "saturated_per_second", True, lambda value: f"{value:.1f} images/s"),
        ("shortest answer for one client", "alone_p50_ms", False, lambda value: f"p50 {value:.1f} ms"),
        ("least memory", "memory_loaded_mb", False, lambda value: f"{value:.0f} MB"),
        ("quickest start", "ready_s", False, lambda value: f"ready after {value:.1f} s"),
    )
    return [_best(pool, *purpose) for purpose in purposes]


def _best(
    pool: Sequence[VariantResult], purpose: str, quantity: str, most: bool, show: Callable[[float], str]
) -> Choice:
    def worth(variant: VariantResult) -> float:
        value = variant.median(quantity) or 0.0
        return value if most else -value

    ranked = sorted(pool, key=worth, reverse=True)
    best = ranked[0]
    told = show(best.median(quantity) or 0.0)
    if len(ranked) == 1:
        return Choice(purpose, best.name, told, clear=True)
    clear = all(apart(best, other, quantity, most=most) for other in ranked[1:])
    second = ranked[1]
    why = f"{told}; {second.name} {show(second.median(quantity) or 0.0)}"
    return Choice(purpose, best.name, why if clear else f"{why}: not apart in every round", clear)


def apart(one: VariantResult, other: VariantResult, quantity: str, *, most: bool) -> bool:
    """Whether every round of one was better than every round of the other, with two rounds of each at least."""
    first, second = one.spread(quantity), other.spread(quantity)
    if first is None or second is None or min(len(one.rounds), len(other.rounds)) < 2:
        return False
    return first.low > second.high if most else first.high < second.low


def sentence(variants: Sequence[VariantResult], tolerated: float = TOLERATED_MAP) -> str:
    """What to do, for the top of the page."""
    found = choices(variants, tolerated)
    if not found:
        return "No variant could be measured."
    best = next(one for one in variants if one.name == found[0].name)
    current = next((one for one in measured(variants) if one.serves), None)
    judged = f", mAP50-95 {best.map50_95:.3f}" if best.map50_95 is not None else ""
    text = f"Run {best.name}: {best.median('saturated_per_second') or 0.0:.1f} images/s{judged}."
    if current is not None and current.name == best.name:
        text += f" It is what {', '.join(current.serves)} runs already."
    elif current is not None:
        ratio = (best.median("saturated_per_second") or 0.0) / (current.median("saturated_per_second") or 1.0)
        lost = ""
        if best.map50_95 is not None and current.map50_95 is not None:
            gained = best.map50_95 - current.map50_95
            lost = f" and {'+' if gained >= 0 else '−'}{abs(gained):.3f} mAP50-95"
        served = ", ".join(current.serves)
        text += f" That is {ratio:.2f} × the throughput{lost} of {current.name}, which {served} runs now."
    if not found[0].clear:
        text += " Others came so near that more rounds would have to tell them apart."
    return text
