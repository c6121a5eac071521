"""Pictures of the truth beside the detections, the worst images first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from pasarela_client.detections import Detections
from pasarela_client.draw import draw, open_picture
from pasarela_client.errors import PasarelaError
from pasarela_training.config import EvaluateSection, Variant
from pasarela_training.dataset.document import read_document
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.predictions import read_predictions
from pasarela_training.look.ranking import Labelled, Mistakes, mistakes, worst_first
from pasarela_training.progress import progress

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MISSED = "missed.json"
ON_SHEET = 12
TILE = (480, 320)
"""Width and height of a pair on the contact sheet, in pixels."""
GAP_PX = 8


def make_look(
    image_root: Path,
    coco: Path,
    evaluated: Path,
    variant: Variant,
    section: EvaluateSection,
    output: Path,
    *,
    limit: int = 40,
) -> str:
    """Draws the truth (left) beside the detections (right).

    Args:
        image_root: Folder that the documents' file names are relative to.
        coco: Output of the `coco` stage.
        evaluated: Output of the `evaluate` stage.
        variant: Whose detections.
        section: Its splits, and the score from which detections count.
        output: Folder to write `<split>/<rank>-<image>.jpg`, `<split>.jpg` and `missed.json` into.
        limit: At most so many images of a split.

    Returns:
        What was drawn, in one line.

    Raises:
        TrainingError: A document, the detections, or an image cannot be read.
    """
    listed: dict[str, list[dict[str, Any]]] = {}
    for split in section.splits:
        document = read_document(coco / f"{split}.json")
        results = read_predictions(evaluated, variant, split)
        truth, found = _by_image(document["annotations"]), _by_image(results, section.shown_confidence)
        files = {int(image["id"]): str(image["file_name"]) for image in document["images"]}
        judged = {image: mistakes(truth[image], found[image]) for image in files}
        order = worst_first(judged)[:limit]
        names = {int(category["id"]): str(category["name"]) for category in document["categories"]}
        (output / split).mkdir(parents=True, exist_ok=True)
        listed[split] = []
        sheet: list[Picture] = []
        for rank, image in enumerate(progress(order, f"look at {split}"), start=1):
            pair = _pair(image_root / files[image], truth[image], found[image], names)
            name = f"{split}/{rank:03d}-{Path(files[image]).stem}.jpg"
            pair.save(output / name, quality=90)
            listed[split].append(_entry(name, files[image], judged[image]))
            if rank <= ON_SHEET:
                pair.thumbnail(TILE)
                sheet.append(pair)
        if sheet:
            contact_sheet(sheet).save(output / f"{split}.jpg", quality=88)
    (output / MISSED).write_bytes(orjson.dumps(listed, option=orjson.OPT_INDENT_2) + b"\n")
    counts = ", ".join(f"{len(entries)} of {split}" for split, entries in listed.items())
    return f"the worst images of {variant}: {counts}"


def contact_sheet(pairs: Sequence[Picture]) -> Picture:
    """Pictures no larger than `TILE` in rows of three."""
    from PIL import Image

    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    width, height = TILE[0] + GAP_PX, TILE[1] + GAP_PX
    sheet = Image.new("RGB", (columns * width + GAP_PX, rows * height + GAP_PX), "white")
    for index, pair in enumerate(pairs):
        left = GAP_PX + index % columns * width + (TILE[0] - pair.width) // 2
        sheet.paste(pair, (left, GAP_PX + index // columns * height + (TILE[1] - pair.height) // 2))
    return sheet


def _by_image(entries: Sequence[Mapping[str, Any]], confidence: float = 0.0) -> defaultdict[int, list[Labelled]]:
    images: defaultdict[int, list[Labelled]] = defaultdict(list)
    for entry in entries:
        left, top, width, height = entry["bbox"]
        score = float(entry.get("score", 1.0))
        if score >= confidence:
            images[int(entry["image_id"])].append(
                Labelled((left, top, width, height), int(entry["category_id"]), score)
            )
    return images


def _pair(path: Path, truth: Sequence[Labelled], found: Sequence[Labelled], names: Mapping[int, str]) -> Picture:
    from PIL import Image

    try:
        picture = open_picture(path)
        left, right = (draw(picture, _detections(boxes, names, picture.size)) for boxes in (truth, found))
    except (PasarelaError, OSError) as error:
        raise TrainingError(f"look: {path} cannot be drawn: {error}; take it out of the dataset") from error
    pair = Image.new("RGB", (left.width + GAP_PX + right.width, left.height), "white")
    pair.paste(left, (0, 0))
    pair.paste(right, (left.width + GAP_PX, 0))
    return pair


def _detections(boxes: Sequence[Labelled], names: Mapping[int, str], size: tuple[int, int]) -> Detections:
    ordered = sorted(boxes, key=lambda one: -one.score)
    class_ids = {category: index for index, category in enumerate(sorted(names))}
    corners = [(x, y, x + width, y + height) for x, y, width, height in (one.box for one in ordered)]
    return Detections(
        boxes=np.array(corners, np.float32).reshape(-1, 4),
        scores=np.array([one.score for one in ordered], np.float32),
        class_ids=np.array([class_ids[one.category] for one in ordered], np.int32),
        names=np.array([names[one.category] for one in ordered], np.str_),
        image_size=size,
    )


def _entry(picture: str, file_name: str, wrong: Mistakes) -> dict[str, Any]:
    return {
        "picture": picture,
        "image": file_name,
        "missed": wrong.missed,
        "false_alarms": wrong.false_alarms,
        "wrong_class": wrong.wrong_class,
    }
