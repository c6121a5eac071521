"""Our letterbox is Ultralytics': the same pixels, and boxes that come back to the same place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.detection.letterbox import Letterbox

sides = st.integers(1, 900)


@settings(deadline=None, max_examples=150)
@given(sides, sides, st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_pixels(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    from ultralytics.data.augment import LetterBox

    target = (rows * 32, columns * 32)
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    theirs = LetterBox(target, auto=False, scaleup=True, center=True)(image=image)
    assert np.array_equal(Letterbox.fit((height, width), target).apply(image), theirs)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 4999), (480, 384), (1080, 810), (321, 319)])
def test_pixels_of_odd_images(size: tuple[int, int]) -> None:
    from ultralytics.data.augment import LetterBox

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    theirs = LetterBox((320, 320), auto=False, scaleup=True, center=True)(image=image)
    assert np.array_equal(Letterbox.fit(size, (320, 320)).apply(image), theirs)


@settings(deadline=None)
@given(sides, sides, st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_boxes_come_back_to_the_same_place(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    from ultralytics.utils.ops import scale_boxes

    target = (rows * 32, columns * 32)
    random = np.random.default_rng(seed)
    boxes = random.uniform(-40, max(target) + 40, (20, 4)).astype(np.float32)
    theirs = scale_boxes(target, boxes.copy(), (height, width))
    ours = Letterbox.fit((height, width), target).undo(boxes)
    assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-2 * max(1.0, max(height, width) / 320))
