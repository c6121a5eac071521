"""Draw garments in DeepFashion2's disk layout, so that anybody can have data to train on."""

from .categories import CATEGORIES, Category
from .settings import ClassPrior, Difficulty, SynthesizeSettings
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
