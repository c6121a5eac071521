"""Fitting an image into the network's input, and boxes back out of it."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.detection.letterbox import PADDING_VALUE, Letterbox

sides = st.integers(1, 700)


@pytest.mark.parametrize(
    ("source", "target", "resized", "top", "left"),
    [
        pytest.param((320, 320), (320, 320), (320, 320), 0, 0, id="fits as it is"),
        pytest.param((480, 640), (320, 320), (240, 320), 40, 0, id="landscape: bars above and below"),
        pytest.param((640, 480), (320, 320), (320, 240), 0, 40, id="portrait: bars left and right"),
        pytest.param((100, 50), (320, 320), (320, 160), 0, 80, id="small images grow"),
        pytest.param((97, 320), (320, 320), (97, 320), 111, 0, id="of an odd bar the larger part lies below"),
        pytest.param((1, 1), (320, 320), (320, 320), 0, 0, id="one pixel"),
        pytest.param((1, 5000), (320, 320), (1, 320), 159, 0, id="a line keeps one row"),
        pytest.param((480, 640), (640, 320), (240, 320), 200, 0, id="a target that is not square"),
    ],
)
def test_fit(source: tuple[int, int], target: tuple[int, int], resized: tuple[int, int], top: int, left: int) -> None:
    assert Letterbox.fit(source, target) == Letterbox(source, target, resized, top, left)


@pytest.mark.parametrize("source", [(1, 1), (1, 5000), (5000, 1), (33, 47), (320, 320)])
def test_apply_fills_the_target_and_pads_with_grey(source: tuple[int, int]) -> None:
    letterbox = Letterbox.fit(source, (320, 320))
    image = np.full((*source, 3), 200, np.uint8)
    canvas = letterbox.apply(image)
    assert canvas.shape == (320, 320, 3)
    assert canvas.flags.c_contiguous
    assert not np.shares_memory(canvas, image)
    inside = canvas[letterbox.top :, letterbox.left :][: letterbox.resized[0], : letterbox.resized[1]]
    assert (inside == 200).all()
    assert int((canvas == PADDING_VALUE).all(axis=2).sum()) == 320 * 320 - inside.shape[0] * inside.shape[1]


@given(sides, sides, st.integers(1, 8), st.integers(1, 8), st.booleans(), st.integers(0, 255))
def test_apply_lays_the_same_image_into_a_place_that_it_is_given(
    height: int, width: int, rows: int, columns: int, mirrored: bool, left_over: int
) -> None:
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    if mirrored:  # as pixels come that a client sends in another order of channels
        image = image[:, :, ::-1]
    letterbox = Letterbox.fit((height, width), (rows * 32, columns * 32))
    place = np.full((*letterbox.target, 3), left_over, np.uint8)
    assert letterbox.apply(image, place) is place
    expected = np.full((*letterbox.target, 3), PADDING_VALUE, np.uint8)
    inside = expected[letterbox.top :, letterbox.left :][: letterbox.resized[0], : letterbox.resized[1]]
    inside[:] = cv2.resize(image, letterbox.resized[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(place, expected)
    assert np.array_equal(letterbox.apply(image), expected)


def test_apply_refuses_a_place_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"\(320, 320, 3\), got \(320, 640, 3\)"):
        Letterbox.fit((10, 20), (320, 320)).apply(np.zeros((10, 20, 3), np.uint8), np.zeros((320, 640, 3), np.uint8))


def test_apply_refuses_another_image() -> None:
    with pytest.raises(ValueError, match=r"\(10, 20, 3\)"):
        Letterbox.fit((10, 20), (320, 320)).apply(np.zeros((20, 10, 3), np.uint8))


@given(sides, sides, st.integers(1, 12), st.integers(1, 12), st.data())
def test_undo_brings_boxes_back(height: int, width: int, rows: int, columns: int, data: st.DataObject) -> None:
    letterbox = Letterbox.fit((height, width), (rows * 32, columns * 32))
    x = sorted(data.draw(st.lists(st.floats(0, width, width=32), min_size=2, max_size=2)))
    y = sorted(data.draw(st.lists(st.floats(0, height, width=32), min_size=2, max_size=2)))
    box = np.array([[x[0], y[0], x[1], y[1]]], np.float32)
    vertical, horizontal = letterbox.scale
    there = box * [horizontal, vertical, horizontal, vertical] + [letterbox.left, letterbox.top] * 2
    back = letterbox.undo(there.astype(np.float32))
    assert back.dtype == np.float32
    assert np.allclose(back, box, atol=1e-3 * max(1, 1 / min(vertical, horizontal)))


def test_undo_clips_to_the_source() -> None:
    letterbox = Letterbox.fit((100, 200), (320, 320))
    boxes = np.array([[-50, -50, 900, 900], [0, 0, 10, 10]], np.float32)
    assert letterbox.undo(boxes).tolist() == [[0, 0, 200, 100], [0, 0, 6.25, 0]]


def test_undo_of_nothing_is_nothing() -> None:
    assert Letterbox.fit((100, 200), (320, 320)).undo(np.zeros((0, 4), np.float32)).shape == (0, 4)
