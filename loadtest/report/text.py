"""Numbers as people read them. Pure."""

from __future__ import annotations

import math
from typing import Final

NOTHING: Final = "–"


def number(value: float | None, digits: int = 3) -> str:
    """About so many digits that count, without an exponent; thousands are set apart."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    decimals = max(0, min(4, digits - 1 - size))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact(value: float | None, decimals: int) -> str:
    """With so many decimals: for columns, whose points stand in a line."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.{decimals}f}"


def percent(share: float | None, digits: int = 3) -> str:
    """A share as per cent."""
    return NOTHING if share is None or not math.isfinite(share) else f"{number(share * 100, digits)} %"


def signed_percent(share: float | None) -> str:
    """A change, always with its sign."""
    if share is None or not math.isfinite(share):
        return NOTHING
    return f"{'+' if share > 0 else '−' if share < 0 else '±'}{abs(share) * 100:.1f} %"


def ms(value: float | None) -> str:
    """Milliseconds; seconds where they are many."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{number(value / 1e3)} s" if value >= 10_000 else f"{number(value)} ms"


def ms_tick(value: float | None) -> str:
    """As an axis says it: seconds from the first on."""
    if value is not None and value >= 1e3:
        return f"{number(value / 1e3)} s"
    return ms(value)


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit; `share` is shown in per cent."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if unit == "share":
        return percent(value)
    if unit == "ms":
        return ms(value)
    return f"{number(value)}{unit}" if unit in {"", "/s"} else f"{number(value)} {unit}"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 120:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest)
    return " ".join(parts)


def points(change: float | None) -> str:
    """A change of a share, in percentage points, always with its sign."""
    if change is None or not math.isfinite(change):
        return NOTHING
    return f"{'+' if change > 0 else '−' if change < 0 else '±'}{abs(change) * 100:.2f} points"
