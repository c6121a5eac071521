"""Lines of YOLO's label files.

The formats: https://docs.ultralytics.com/datasets/detect and /segment. A class counts from 0; all else is a share of
the image's width or height.
"""

from __future__ import annotations

from collections.abc import Sequence

from pasarela_training.dataset.polygons import Polygon


def label_line(class_id: int, box: Sequence[float], width: int, height: int) -> str:
    """One box.

    Args:
        class_id: From 0.
        box: Left, top, width, height in pixels.
        width: Of the image, in pixels.
        height: Of the image, in pixels.
    """
    left, top, across, down = box
    values = ((left + across / 2) / width, (top + down / 2) / height, across / width, down / height)
    return f"{class_id} " + " ".join(f"{value:.6f}" for value in values)


def parse_label_line(line: str, width: int, height: int) -> tuple[int, tuple[float, float, float, float]]:
    """The inverse of `label_line`: class from 0, and left, top, width, height in pixels.

    Raises:
        ValueError: The line is something else.
    """
    number, *values = line.split()
    x, y, across, down = (float(value) for value in values)
    return int(number), ((x - across / 2) * width, (y - down / 2) * height, across * width, down * height)


def polygon_line(class_id: int, polygon: Polygon, width: int, height: int) -> str:
    """One outline; corners outside the image are moved to its edge, since Ultralytics refuses them."""
    shares = (polygon / (width, height)).clip(0, 1)
    return f"{class_id} " + " ".join(f"{value:.6f}" for value in shares.ravel().tolist())
