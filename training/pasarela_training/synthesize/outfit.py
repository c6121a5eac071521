"""What a figure wears around its main garment, and how much of it the picture shows."""

from dataclasses import dataclass

import numpy as np

from .categories import BOTTOMS, DRESSES, OUTWEAR, SLEEVELESS, TOPS
from .cut import Garment, draw_garment
from .figure import BAND_Y, HIP, SHIN, SOLE, THIGH
from .pairs import draw_category
from .settings import ClassPrior, Profile


@dataclass(frozen=True, slots=True)
class Outfit:
    """Garments of one figure.

    Attributes:
        worn: From the innermost to the outermost.
        top: Upper edge of the picture in body units.
        bottom: Lower edge of the picture in body units.
    """

    worn: tuple[Garment, ...]
    top: float
    bottom: float


def _with(rng: np.random.Generator, prior: ClassPrior, among: frozenset[int], *others: Garment) -> Garment:
    """Draw another garment whose colours stand out from the others'."""
    colours = tuple(other.cloth.base for other in others)
    return draw_garment(rng, draw_category(rng, prior, among), colours)


def _upper(rng: np.random.Generator, bottom: float, *worn: Garment) -> Outfit:
    return Outfit(worn, float(rng.uniform(-1.6, -0.8)), bottom)


def _knee(rng: np.random.Generator, least: float) -> float:
    return float(rng.uniform(least, least + 0.6))


def _order(rng: np.random.Generator, lower: Garment, upper: Garment) -> tuple[Garment, Garment]:
    """Tuck long tops in, at times."""
    tucked = upper.cut.hem < 2.4 and rng.random() < 0.25
    return (upper, lower) if tucked else (lower, upper)


def _lower_edge(rng: np.random.Generator, lower: Garment, full: float) -> float:
    """Show a bottom (and so the figure) to its end, or cut trousers and long skirts below the knee."""
    if rng.random() < full:
        return SOLE + float(rng.uniform(0.2, 0.5))
    if lower.category.id == 8:
        return _knee(rng, 4.5)
    end = HIP[1] + lower.cut.leg * (THIGH + SHIN) if lower.category.id == 7 else lower.cut.hem
    return _knee(rng, max(3.6, min(end, 4.6) + 0.15))


def dress(rng: np.random.Generator, hero: Garment, profile: Profile, prior: ClassPrior, whole: bool) -> Outfit:
    """Complete an outfit around its main garment; `whole` asks for the figure down to the knees at least."""
    kind = hero.category.id
    head_room = float(rng.uniform(-1.75, -1.5))
    if kind in TOPS:
        if not whole and rng.random() < 0.3:
            return _upper(rng, hero.cut.hem - 0.03, hero)
        lower = _with(rng, prior, BOTTOMS, hero)
        return Outfit(_order(rng, lower, hero), head_room, _lower_edge(rng, lower, 0.3))
    if kind in BOTTOMS:
        if not whole and rng.random() < 0.3:
            end = SOLE + 0.3 if kind == 8 or rng.random() < 0.4 else _lower_edge(rng, hero, 0.0)
            return Outfit((hero,), BAND_Y + 0.03, end)
        upper = _with(rng, prior, TOPS, hero)
        return Outfit(_order(rng, hero, upper), head_room, _lower_edge(rng, hero, 0.4))
    if kind in OUTWEAR:
        return _layered(rng, hero, profile, prior, whole, head_room)
    if rng.random() < 0.12 and profile.any_layering:
        outer = _with(rng, prior, OUTWEAR, hero)
        return Outfit((hero, outer), head_room, _knee(rng, 4.2))
    return Outfit((hero,), head_room, SOLE + 0.3 if rng.random() < 0.35 else _knee(rng, max(3.7, hero.cut.hem)))


def _layered(
    rng: np.random.Generator,
    hero: Garment,
    profile: Profile,
    prior: ClassPrior,
    whole: bool,
    head_room: float,
) -> Outfit:
    """Something below open outwear."""
    if rng.random() < 0.4:
        inner = _with(rng, prior, DRESSES if profile.any_layering else DRESSES & SLEEVELESS, hero)
        return Outfit((inner, hero), head_room, _knee(rng, max(3.9, min(inner.cut.hem, 4.6))))
    inner = _with(rng, prior, TOPS if profile.any_layering else TOPS & SLEEVELESS, hero)
    if not whole and rng.random() < 0.5:
        return _upper(rng, min(inner.cut.hem, hero.cut.hem) - 0.04, inner, hero)
    lower = _with(rng, prior, BOTTOMS, hero, inner)
    return Outfit((lower, inner, hero), head_room, _lower_edge(rng, lower, 0.3))
