"""Values of scenario files that are more than numbers and text, and the form that all their sections share."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

SECTION: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True, str_strip_whitespace=True)
"""Of every section: a key that it does not know is an error, and the docstrings below its keys are their reference."""

_UNITS_S: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern}\s*)+")


def parse_duration(value: Any) -> float:
    """Seconds, out of a number of them or of text such as "45s", "5m", "1h30m", "250ms".

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a time such as 45s, 5m or 1h30m")  # noqa: TRY004 - one kind for pydantic
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return sum(float(part[1]) * _UNITS_S[part[2]] for part in _PART.finditer(text))
        try:
            value = float(text)
        except ValueError:
            raise ValueError("expected a time such as 45s, 5m or 1h30m") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError("expected a time that is not negative and has an end")
    return float(value)


def format_duration(seconds: float) -> str:
    """As a person would write it: 250ms, 45s, 5m, 1h30m."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    if seconds < 60 or seconds != int(seconds):
        return f"{seconds:g}s"
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if count)


Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
"""Seconds; in files "45s", "5m", "1h30m", "250ms", or a number of seconds."""
Rate = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
"""Requests per second."""
Users = Annotated[int, Field(ge=1, le=10_000)]
"""Users at a time."""
