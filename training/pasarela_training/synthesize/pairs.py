"""Which pictures show the same garment: a rule that needs only the seed and the index."""

from dataclasses import dataclass

import numpy as np

from .categories import CATEGORIES, Category
from .cut import Garment, draw_garment
from .settings import ClassPrior

GROUP_SIZES = (4, 3, 2, 1, 1, 1)
"""Pictures per garment; the groups of each block of twelve pictures, in a drawn order."""

_BLOCK = sum(GROUP_SIZES)

PRIORS: dict[ClassPrior, tuple[int, ...]] = {
    "balanced": (4, 4, 5, 5, 3, 3, 2, 3, 3, 4, 4, 4, 3),
    "deepfashion2": (72, 36, 1, 13, 16, 2, 37, 55, 31, 17, 8, 18, 6),
}
"""Weight of each category among the main garments of the pictures, in the order of `CATEGORIES`."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Identity of a picture's main garment.

    Attributes:
        pair_id: Shared by all pictures of the garment.
        style: 1 when the garment is planned for several pictures, else 0.
        source: "shop" or "user"; the first picture of a group is the shop's.
        garment: The main garment.
    """

    pair_id: int
    style: int
    source: str
    garment: Garment


def draw_category(rng: np.random.Generator, prior: ClassPrior, among: frozenset[int]) -> Category:
    """Draw one of some categories by the prior."""
    weights = np.array([w if c.id in among else 0 for w, c in zip(PRIORS[prior], CATEGORIES, strict=True)], float)
    return CATEGORIES[int(rng.choice(len(CATEGORIES), p=weights / weights.sum()))]


def _main_category(seed: int, pair_id: int, prior: ClassPrior) -> Category:
    """Deal categories from shuffled decks, so that small datasets have every class, too."""
    deck = [category for weight, category in zip(PRIORS[prior], CATEGORIES, strict=True) for _ in range(weight)]
    number, place = divmod(pair_id - 1, len(deck))
    order = np.random.default_rng([seed, 1, number]).permutation(len(deck))
    return deck[int(order[place])]


def pairing(seed: int, index: int, prior: ClassPrior) -> Pairing:
    """Identity of picture `index` (from 1)."""
    block, place = divmod(index - 1, _BLOCK)
    rng = np.random.default_rng([seed, 0, block])
    sizes = rng.permutation(GROUP_SIZES)
    ends = np.cumsum(sizes)
    group = int(np.searchsorted(ends, place, side="right"))
    first = place == ends[group] - sizes[group]
    single = int(sizes[group]) == 1
    pair_id = block * len(GROUP_SIZES) + group + 1
    shop = bool(rng.random(len(sizes))[group] < 0.4) if single else first
    category = _main_category(seed, pair_id, prior)
    garment = draw_garment(np.random.default_rng([seed, 2, pair_id]), category)
    return Pairing(pair_id, 0 if single else 1, "shop" if shop else "user", garment)
