"""One picture with its annotation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import backdrop, props
from .annotate import Visibility, annotate_item, look
from .categories import BOTTOMS, EVERYTHING, LONG_SLEEVED, TOPS
from .cut import draw_garment
from .figure import SOLE
from .geometry import Placement
from .layers import Image, paint
from .outfit import dress
from .pairs import Pairing, draw_category, pairing
from .photo import expose
from .settings import PROFILES, Profile, SynthesizeSettings
from .staging import Item, Staged, figure, flat_lay

_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture; `image` is blue, green, red."""

    image: Image
    annotation: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Scene:
    backdrop: Image
    staged: Staged


def _size(rng: np.random.Generator, settings: SynthesizeSettings) -> tuple[int, int]:
    change = rng.uniform(1 - settings.size_jitter, 1 + settings.size_jitter, 2)
    width, height = round(settings.width * change[0]), round(settings.height * change[1])
    return (height, width) if rng.random() < settings.landscape_share else (width, height)


def _behind(rng: np.random.Generator, source: str, profile: Profile, size: tuple[int, int], floor_y: float) -> Image:
    if source == "shop":
        return backdrop.studio(rng, *size, floor_y)
    pieces = int(rng.integers(*profile.furniture, endpoint=True))
    floor_y = min(floor_y, size[1] * 1.2)
    return (backdrop.room if rng.random() < 0.65 else backdrop.street)(rng, *size, floor_y, pieces)


def _worn(rng: np.random.Generator, settings: SynthesizeSettings, pair: Pairing, size: tuple[int, int]) -> _Scene:
    profile, (width, height) = PROFILES[settings.difficulty], size
    landscape = width > height
    two = pair.source == "user" and rng.random() < (0.6 if landscape else profile.second_figure - 0.07)
    outfit = dress(rng, pair.garment, profile, settings.class_prior, two)
    scale = height / (outfit.bottom - outfit.top)
    squash = float(rng.uniform(0.98, 1.18))
    places = [0.27, 0.73] if two else [float(rng.uniform(0.44, 0.56))]
    if two and rng.random() < 0.5:
        places.reverse()
    cropped = len(outfit.worn) == 1 or outfit.bottom < 3.0
    angle = 0.0 if cropped else float(rng.normal(0, 0.025))
    staged = Staged([], [])
    for number, place in enumerate(places):
        placement = Placement(scale, width * place, -outfit.top * scale, squash, angle)
        worn = outfit.worn
        if number:
            garment = draw_garment(rng, draw_category(rng, settings.class_prior, EVERYTHING))
            worn = dress(rng, garment, profile, settings.class_prior, True).worn
        one = figure(rng, profile, worn, placement, len(staged.items) + 1, (pair.garment, pair.style))
        staged = Staged(staged.layers + one.layers, staged.items + one.items)
    floor_y = (SOLE - 0.25 - outfit.top) * scale
    if pair.source == "user" and rng.random() < profile.prop * 0.6:
        staged.layers.extend(props.foreground(rng, width, height))
    return _Scene(_behind(rng, pair.source, profile, size, floor_y), staged)


def _laid(
    rng: np.random.Generator, settings: SynthesizeSettings, pair: Pairing, size: tuple[int, int], alone: bool
) -> _Scene:
    profile = PROFILES[settings.difficulty]
    garments = [pair.garment]
    if not alone and pair.garment.category.id in TOPS and size[1] > size[0] and rng.random() < 0.4:
        lower = draw_category(rng, settings.class_prior, BOTTOMS)
        garments.append(draw_garment(rng, lower, (pair.garment.cloth.base,)))
    staged = flat_lay(rng, profile, garments, size, pair.style)
    return _Scene(backdrop.surface(rng, *size, pair.source == "shop"), staged)


def _acceptable(items: list[Item], seen: list[Visibility], profile: Profile, area: int) -> bool:
    """Every garment in the picture must be well visible: none is left without a label."""
    for item, sight in zip(items, seen, strict=True):
        most_outside = 0.45 if item.garment.category.id in LONG_SLEEVED else 0.6
        if sight.visible < max(profile.min_item_area * area, 0.35 * sight.in_frame):
            return False
        if sight.landmarks_outside > most_outside:
            return False
    return True


def picture(settings: SynthesizeSettings, index: int) -> Picture:
    """Draw picture `index` (from 1); depends on the settings and the index only."""
    profile = PROFILES[settings.difficulty]
    pair = pairing(settings.seed, index, settings.class_prior)
    for attempt in range(_ATTEMPTS + 1):
        rng = np.random.default_rng([settings.seed, 3, index, attempt])
        size = _size(rng, settings)
        last = attempt == _ATTEMPTS
        flat = last or rng.random() < (0.2 if pair.source == "shop" else 0.1)
        scene = _laid(rng, settings, pair, size, last) if flat else _worn(rng, settings, pair, size)
        seen = look(scene.staged.layers, scene.staged.items, *size)
        if last or _acceptable(scene.staged.items, seen, profile, size[0] * size[1]):
            break
    image = scene.backdrop
    paint(image, scene.staged.layers)
    annotation: dict[str, Any] = {"source": pair.source, "pair_id": pair.pair_id}
    for number, (item, sight) in enumerate(zip(scene.staged.items, seen, strict=True), 1):
        annotation[f"item{number}"] = annotate_item(item, sight)
    return Picture(expose(rng, image, profile, pair.source), annotation)
