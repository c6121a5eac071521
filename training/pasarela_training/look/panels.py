"""Truth and prediction side by side, and many of them on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pasarela_client import Detections
from pasarela_client.draw import draw, open_picture
from pasarela_client.errors import PasarelaError
from pasarela_training.errors import TrainingError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_GAP = 8
_CAPTION = 22
_BACKGROUND = (245, 245, 245)
_INK = (20, 20, 20)


def as_detections(
    entries: Sequence[Mapping[str, Any]], names: Mapping[int, str], image_size: tuple[int, int]
) -> Detections:
    """Annotations or results in COCO's form, as the client draws them; annotations get the score 1.

    Args:
        entries: Of one image.
        names: Name by category id.
        image_size: Width and height in pixels.
    """
    ordered = sorted(entries, key=lambda entry: -entry.get("score", 1.0))
    boxes = np.array([entry["bbox"] for entry in ordered], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    position = {category: index for index, category in enumerate(sorted(names))}
    return Detections(
        boxes=boxes,
        scores=np.array([entry.get("score", 1.0) for entry in ordered], np.float32),
        class_ids=np.array([position[entry["category_id"]] for entry in ordered], np.int32),
        names=np.array([names[entry["category_id"]] for entry in ordered], np.str_),
        image_size=image_size,
    )


def side_by_side(path: Path, truth: Detections, found: Detections, caption: str) -> Picture:
    """Truth left, prediction right, a line of text above.

    Raises:
        TrainingError: The image cannot be opened.
    """
    from PIL import Image, ImageDraw, ImageFont

    try:
        picture = open_picture(path)
        panels = [draw(picture, one) for one in (truth, found)]
    except (PasarelaError, OSError) as error:
        raise TrainingError(f"look: {path} cannot be drawn: {error}") from error
    width, height = picture.size
    sheet = Image.new("RGB", (2 * width + _GAP, height + _CAPTION), _BACKGROUND)
    for index, panel in enumerate(panels):
        sheet.paste(panel, (index * (width + _GAP), _CAPTION))
    pen = ImageDraw.Draw(sheet)
    pen.text((4, 4), f"truth | found: {caption}", _INK, ImageFont.load_default(13))
    return sheet


def contact_sheet(pictures: Sequence[Picture], columns: int = 3, width: int = 640) -> Picture:
    """Pictures scaled to one width, in rows.

    Args:
        pictures: At least one.
        columns: How many in a row.
        width: Of each, in pixels.
    """
    from PIL import Image

    small = [one.resize((width, max(1, round(one.height * width / one.width)))) for one in pictures]
    rows = [small[start : start + columns] for start in range(0, len(small), columns)]
    heights = [max(one.height for one in row) for row in rows]
    sheet = Image.new("RGB", (columns * (width + _GAP) - _GAP, sum(heights) + _GAP * (len(rows) - 1)), _BACKGROUND)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for index, one in enumerate(row):
            sheet.paste(one, (index * (width + _GAP), top))
        top += height + _GAP
    return sheet
