"""Results that tests make up."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from pasarela_client import Detections

NAMES = ("skirt", "trousers", "short sleeve top", 'Jäckchen, "fein"\nund 🧥', "=1+1")


def make_found(boxes: list[list[float]] | None = None, **fields: Any) -> Detections:
    """Two objects on 640x480 unless told otherwise; classes by turns."""
    boxes = [[10, 20, 110, 220], [300.25, 100.5, 500.125, 400]] if boxes is None else boxes
    n = len(boxes)
    arrays = {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "scores": np.linspace(0.9, 0.5, n, dtype=np.float32),
        "class_ids": np.arange(n, dtype=np.int32) % len(NAMES),
        "names": np.array([NAMES[index % len(NAMES)] for index in range(n)], np.str_),
    }
    usual = {"image_size": (640, 480), "model": "garments", "version": "3"}
    return Detections(**{**arrays, **usual, **fields})


@st.composite
def results(draw: st.DrawFn, *, edge: int = 4000, most: int = 6) -> Detections:
    """Any detections that a server may find on an image of up to `edge` pixels."""
    width, height = draw(st.integers(1, edge)), draw(st.integers(1, edge))
    n = draw(st.integers(0, most))
    fraction = st.floats(0, 1, width=32)
    corners = np.array(draw(st.lists(fraction, min_size=4 * n, max_size=4 * n)), np.float32).reshape(n, 2, 2)
    corners = np.sort(corners, axis=1) * np.array((width, height), np.float32)
    scores = np.sort(np.array(draw(st.lists(fraction, min_size=n, max_size=n)), np.float32))[::-1]
    class_ids = np.array(draw(st.lists(st.integers(0, len(NAMES) - 1), min_size=n, max_size=n)), np.int32)
    return Detections(
        boxes=corners.reshape(n, 4),
        scores=scores,
        class_ids=class_ids,
        names=np.array([NAMES[class_id] for class_id in class_ids], np.str_),
        image_size=(width, height),
        model=draw(st.sampled_from(["", "garments"])),
        version="3",
        frame_index=draw(st.none() | st.integers(0, 2**62)),
        origin=draw(st.sampled_from(["", "a/1.jpg", "größer 🧥.png", "bad\udcff.jpg", 'quote".jpg'])),
        timestamp_s=draw(st.none() | st.floats(0, 2e9)),
        request_id=draw(st.sampled_from(["", "r-1"])),
    )
