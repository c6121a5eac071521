import numpy as np
import pytest

from pasarela_training.synthesize.annotate import (
    annotate_item,
    look,
    occlusion_level,
    scale_level,
    zoom_level,
)
from pasarela_training.synthesize.categories import CATEGORIES
from pasarela_training.synthesize.cut import draw_garment
from pasarela_training.synthesize.geometry import box, points
from pasarela_training.synthesize.layers import Flat, Layer, Shadow, Stroke
from pasarela_training.synthesize.staging import Item

WIDTH, HEIGHT = 100, 80
RED = Flat((0.0, 0.0, 255.0))


def _item(owner: int, *landmarks: tuple[float, float]) -> Item:
    garment = draw_garment(np.random.default_rng(0), CATEGORIES[8])
    return Item(garment, owner, points(*landmarks), viewpoint=2, style=1)


def test_a_free_garment_is_seen_whole() -> None:
    item = _item(1, (10, 10), (49, 39))
    (seen,) = look([Layer((box(10, 10, 49, 39),), RED, owner=1)], [item], WIDTH, HEIGHT)
    entry = annotate_item(item, seen)
    assert entry["bounding_box"] == [10, 10, 50, 40]
    assert entry["occlusion"] == 1
    assert entry["scale"] == 2
    assert entry["zoom_in"] == 1
    assert entry["landmarks"][2::3] == [2, 2]
    assert sorted(zip(entry["segmentation"][0][::2], entry["segmentation"][0][1::2], strict=True)) == [
        (10, 10),
        (10, 39),
        (49, 10),
        (49, 39),
    ]


def test_what_lies_above_is_taken_off_box_polygon_and_landmarks() -> None:
    item = _item(1, (10, 10), (49, 39))
    layers = [Layer((box(10, 10, 49, 39),), RED, owner=1), Layer((box(35, 0, 70, 60),), RED)]
    (seen,) = look(layers, [item], WIDTH, HEIGHT)
    entry = annotate_item(item, seen)
    assert entry["bounding_box"] == [10, 10, 35, 40]
    assert (seen.visible, seen.in_frame) == (25 * 30, 40 * 30)
    assert entry["occlusion"] == 2
    assert entry["landmarks"][2::3] == [2, 1]


def test_a_strap_across_splits_the_polygon_but_not_the_box() -> None:
    item = _item(1, (10, 10))
    layers = [Layer((box(10, 10, 49, 39),), RED, owner=1), Layer((box(28, 0, 30, 79),), RED)]
    entry = annotate_item(item, look(layers, [item], WIDTH, HEIGHT)[0])
    assert entry["bounding_box"] == [10, 10, 50, 40]
    assert len(entry["segmentation"]) == 2


def test_a_speck_left_over_does_not_stretch_the_box() -> None:
    item = _item(1, (10, 10))
    layers = [Layer((box(10, 10, 59, 49),), RED, owner=1), Layer((box(40, 0, 57, 79),), RED)]
    layers.append(Layer((box(58, 0, 60, 47),), RED))
    entry = annotate_item(item, look(layers, [item], WIDTH, HEIGHT)[0])
    assert entry["bounding_box"] == [10, 10, 40, 50]
    assert len(entry["segmentation"]) == 1


def test_shadows_and_lines_hide_nothing() -> None:
    item = _item(1, (10, 10))
    layers = [
        Layer((box(10, 10, 49, 39),), RED, owner=1),
        Layer((box(0, 0, 99, 79),), Shadow(0.5, 4)),
        Layer((points((0, 0), (99, 79)),), Stroke((0, 0, 0), 5)),
    ]
    (seen,) = look(layers, [item], WIDTH, HEIGHT)
    assert seen.visible == seen.in_frame == 40 * 30


def test_outside_the_image_a_landmark_is_not_labelled_and_hides_nothing() -> None:
    item = _item(1, (-20, 10), (20, 10), (20, 39), (21, 39))
    (seen,) = look([Layer((box(-20, 10, 20, 39),), RED, owner=1)], [item], WIDTH, HEIGHT)
    entry = annotate_item(item, seen)
    assert entry["bounding_box"] == [0, 10, 21, 40]
    assert entry["landmarks"][:3] == [0, 0, 0]
    assert entry["occlusion"] == 1
    assert entry["zoom_in"] == 2


@pytest.mark.parametrize(
    ("visible", "level", "reason"),
    [
        (100, 1, "free"),
        (81, 1, "less than a fifth hidden"),
        (80, 2, "a fifth"),
        (50, 2, "half"),
        (49, 3, "more than half"),
    ],
)
def test_occlusion_level(visible: int, level: int, reason: str) -> None:
    assert occlusion_level(visible, 100) == level, reason


@pytest.mark.parametrize(("side", "level"), [(31, 1), (32, 2), (63, 2), (64, 3), (100, 3)])
def test_scale_level(side: int, level: int) -> None:
    assert scale_level((0, 0, side, side), 100, 100) == level


@pytest.mark.parametrize(("outside", "level"), [(0.0, 1), (0.03, 2), (0.3, 2), (0.31, 3)])
def test_zoom_level(outside: float, level: int) -> None:
    assert zoom_level(outside) == level
