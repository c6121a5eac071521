"""The cut of a garment: its measures in body units, drawn by category."""

from dataclasses import dataclass

import numpy as np

from .categories import (
    BOTTOMS,
    DRESSES,
    LONG_SLEEVED,
    OUTWEAR,
    SHORT_SLEEVED,
    SLEEVELESS,
    STRAPPED,
    TOPS,
    Category,
)
from .cloth import Cloth, draw_cloth
from .palette import Colour


@dataclass(frozen=True, slots=True)
class Cut:
    """Measures of a garment; each kind uses those it has.

    Attributes:
        ease: How much wider than the body it is.
        waist: How much it follows the waist, 0 (box) to 1 (fitted).
        neck_width: Half width of the neckline.
        neck_depth: Depth of the neckline in front.
        neck: "round", "v" or "collar".
        hem: Height of the lower edge (larger is longer).
        flare: Half width added from hip to hem.
        sleeve: Share of the arm that the sleeve covers.
        sleeve_top: Half width of the sleeve at the shoulder.
        cuff: Half width of the sleeve's or leg's end.
        strap: Half width of a strap.
        gap: Half width of an open front.
        leg: Share of the leg that shorts or trousers cover.
        detail: "none", "placket", "motif", "pocket", "pleats", "belt", "hood" or "lapels".
        motif: Number of the printed motif.
    """

    ease: float
    waist: float
    neck_width: float
    neck_depth: float
    neck: str
    hem: float
    flare: float
    sleeve: float
    sleeve_top: float
    cuff: float
    strap: float
    gap: float
    leg: float
    detail: str
    motif: int


@dataclass(frozen=True, slots=True)
class Garment:
    """One garment: the same wherever it is worn."""

    category: Category
    cut: Cut
    cloth: Cloth


def _hem(rng: np.random.Generator, kind: int) -> float:
    if kind in DRESSES:
        return float(rng.uniform(3.5, 5.2))
    if kind in OUTWEAR:
        return float(rng.uniform(2.25, 2.9) if rng.random() < 0.75 else rng.uniform(3.3, 4.3))
    if kind == 9:
        return float(rng.uniform(3.2, 3.9) if rng.random() < 0.5 else rng.uniform(3.9, 5.0))
    if kind in (5, 6):
        return float(rng.uniform(2.0, 2.45))
    return float(rng.uniform(2.1, 2.55))


def _detail(rng: np.random.Generator, kind: int, neck: str) -> str:
    if neck == "collar" and kind not in OUTWEAR:
        return "placket"
    options = {
        **dict.fromkeys(TOPS, ("none", "motif", "motif", "pocket")),
        **dict.fromkeys(OUTWEAR, ("lapels", "lapels", "hood", "none")),
        **dict.fromkeys(BOTTOMS, ("none", "pocket", "belt")),
        **dict.fromkeys(DRESSES, ("none", "belt", "pleats")),
        6: ("none", "none", "motif"),
        9: ("none", "pleats", "pleats", "belt"),
    }
    return str(rng.choice(options[kind]))


def draw_cut(rng: np.random.Generator, category: Category) -> Cut:
    """Draw the measures of a garment of one category."""
    kind = category.id
    neck = str(rng.choice(["round", "v", "collar"], p=[0.5, 0.25, 0.25]))
    if kind in SLEEVELESS and neck == "collar":
        neck = "round"
    long_sleeve, short_sleeve = kind in LONG_SLEEVED, kind in SHORT_SLEEVED
    return Cut(
        ease=float(rng.uniform(0.02, 0.14)) + (0.08 if kind in OUTWEAR else 0.0),
        waist=float(rng.uniform(0.2, 1.0)) * (1.0 if kind in DRESSES else 0.6),
        neck_width=float(rng.uniform(0.24, 0.38)),
        neck_depth=float(rng.uniform(0.14, 0.34) if neck == "round" else rng.uniform(0.35, 0.62)),
        neck=neck,
        hem=_hem(rng, kind),
        flare=float(rng.uniform(0.1, 0.6) if kind in DRESSES | {9} else rng.uniform(0.0, 0.1)),
        sleeve=float(rng.uniform(0.84, 0.98) if long_sleeve else rng.uniform(0.24, 0.42)),
        sleeve_top=float(rng.uniform(0.25, 0.31)),
        cuff=float(rng.uniform(0.24, 0.34) if short_sleeve else rng.uniform(0.16, 0.26)),
        strap=float(rng.uniform(0.025, 0.05) if kind in STRAPPED else rng.uniform(0.14, 0.22)),
        gap=float(rng.uniform(0.26, 0.42)),
        leg=float(rng.uniform(0.27, 0.43) if kind == 7 else rng.uniform(0.84, 0.99)),
        detail=_detail(rng, kind, neck),
        motif=int(rng.integers(5)),
    )


def draw_garment(rng: np.random.Generator, category: Category, away_from: tuple[Colour, ...] = ()) -> Garment:
    """Draw a garment; its cloth stands out from the given colours."""
    denim = category.id in BOTTOMS | OUTWEAR and bool(rng.random() < 0.25)
    return Garment(category, draw_cut(rng, category), draw_cloth(rng, away_from, denim))
