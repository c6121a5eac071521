"""Draw garments in DeepFashion2's disk layout, so that anybody can have data to train on.

The drawing itself needs OpenCV; it is loaded at the first use of `synthesize`, so that the table of categories stays
cheap to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .categories import CATEGORIES, Category
from .settings import ClassPrior, Difficulty, SynthesizeSettings

if TYPE_CHECKING:
    from .writer import SynthesizeReport, synthesize

__all__ = [
    "CATEGORIES",
    "Category",
    "ClassPrior",
    "Difficulty",
    "SynthesizeReport",
    "SynthesizeSettings",
    "synthesize",
]


def __getattr__(name: str) -> object:
    if name in ("SynthesizeReport", "synthesize"):
        from . import writer

        return getattr(writer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
