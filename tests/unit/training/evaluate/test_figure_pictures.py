from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pasarela_training.evaluate.pictures import draw_confusion, draw_precision_recall

NAMES = [
    ["vest"],  # reason: one class
    [f"class {number}" for number in range(80)],  # reason: as many as COCO has; neither named nor numbered
    ["$x", "a$b$c", "_under", "under_score_^2", r"\frac{"],  # reason: what a typesetter takes for mathematics
    ["a very long name of a class that goes on and on and on", "x"],  # reason: little room is left
    ["prenda de vestir — ñ", "<b>&amp;"],  # reason: more than ASCII
]


@pytest.mark.parametrize("names", NAMES)
def test_curves_are_drawn_without_a_warning(names: list[str], tmp_path: Path) -> None:
    curves = {name: np.linspace(1, 0, 101) for name in names}
    assert min(_drawn(lambda place: draw_precision_recall(curves, "$ model_1, test", place), tmp_path)) > 300


@pytest.mark.parametrize("names", NAMES)
def test_confusion_is_drawn_without_a_warning(names: list[str], tmp_path: Path) -> None:
    matrix = np.arange((len(names) + 1) ** 2).reshape(len(names) + 1, -1)
    assert min(_drawn(lambda place: draw_confusion(matrix, names, "$ model_1, test", place), tmp_path)) > 300


def test_nothing_to_show_is_drawn_too(tmp_path: Path) -> None:
    assert _drawn(lambda place: draw_precision_recall({}, "nothing", place), tmp_path)
    assert _drawn(lambda place: draw_confusion(np.zeros((2, 2), np.int64), ["vest"], "nothing", place), tmp_path)


def _drawn(draw, folder: Path) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    place = folder / "picture.png"
    draw(place)
    with Image.open(place) as picture:
        picture.load()
        assert np.unique(np.asarray(picture.convert("L"))).size > 2
        return picture.size
