"""Reading a whole COCO document of this pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from pasarela_training.errors import TrainingError


def read_document(path: Path) -> dict[str, Any]:
    """A COCO document of the `coco` stage.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        content: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}; run the coco stage again") from error
    return content
