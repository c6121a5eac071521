"""The thirteen garment categories of DeepFashion2."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    """One garment category.

    Attributes:
        id: `category_id` of the annotations, from 1 to 13.
        name: `category_name` of the annotations.
        landmarks: How many landmarks an item of this category has.
    """

    id: int
    name: str
    landmarks: int


CATEGORIES: tuple[Category, ...] = (
    Category(1, "short sleeve top", 25),
    Category(2, "long sleeve top", 33),
    Category(3, "short sleeve outwear", 31),
    Category(4, "long sleeve outwear", 39),
    Category(5, "vest", 15),
    Category(6, "sling", 15),
    Category(7, "shorts", 10),
    Category(8, "trousers", 14),
    Category(9, "skirt", 8),
    Category(10, "short sleeve dress", 29),
    Category(11, "long sleeve dress", 37),
    Category(12, "vest dress", 19),
    Category(13, "sling dress", 19),
)

TOPS = frozenset({1, 2, 5, 6})
OUTWEAR = frozenset({3, 4})
BOTTOMS = frozenset({7, 8, 9})
DRESSES = frozenset({10, 11, 12, 13})
SHORT_SLEEVED = frozenset({1, 3, 10})
LONG_SLEEVED = frozenset({2, 4, 11})
STRAPPED = frozenset({6, 13})
SLEEVELESS = frozenset({5, 6, 12, 13})
EVERYTHING = frozenset(category.id for category in CATEGORIES)
