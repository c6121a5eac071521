"""What was measured of a variant, on disk and in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pasarela_training.config import Variant
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.scores import Scores

RESULTS = "results.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one variant."""

    variant: Variant
    description: str
    """What ran it: framework, device, precision really used, threads."""
    infer_ms: float
    """Mean time of the network alone for one image, on the last split; 0 where it was not taken."""
    splits: dict[str, Scores]


def write_measured(folder: Path, measured: Sequence[Measured]) -> None:
    """Leaves the figures for `read_measured`."""
    text = json.dumps([asdict(one) for one in measured], indent=1)
    (folder / RESULTS).write_text(text + "\n", encoding="utf-8")


def read_measured(folder: Path) -> list[Measured]:
    """The figures that a stage left in its folder.

    Raises:
        TrainingError: They are not there, or of another version of the pipeline.
    """
    path = folder / RESULTS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            Measured(**one | {"splits": {split: Scores(**scores) for split, scores in one["splits"].items()}})
            for one in content
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrainingError(f"{path} cannot be read ({error}); run the stage again") from error
