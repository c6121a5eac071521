"""What a variant found, kept, so that pictures and reports need not run it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.scores import Result

FOLDER = "predictions"


def write_predictions(folder: Path, variant: str, split: str, results: Sequence[Result]) -> None:
    """Keeps detections in COCO's form, as pycocotools' `loadRes` reads them.

    Args:
        folder: Output of the `evaluate` stage.
        variant: Who found them.
        split: Where.
        results: What.
    """
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    (place / f"{variant}-{split}.json").write_bytes(orjson.dumps(results))


def read_predictions(folder: Path, variant: str, split: str) -> list[Result]:
    """What `write_predictions` kept.

    Raises:
        TrainingError: It is not there.
    """
    path = folder / FOLDER / f"{variant}-{split}.json"
    try:
        results: list[Result] = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}; run the evaluate stage again") from error
    return results
