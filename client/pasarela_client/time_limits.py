"""Times that people allow."""

from __future__ import annotations

from typing import Final

LONGEST_S: Final = 1e9
"""Longer is for ever: decades, which neither gRPC nor the waits of threads can hold."""


def time_limit(seconds: float | None) -> float | None:
    """The limit that is meant; None for none, which infinity is, too."""
    return None if seconds is None or seconds >= LONGEST_S else seconds
