"""What an artefact says of itself: Ultralytics' metadata, less what is true of this machine and this day only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FACTS = "facts.json"
DROPPED = frozenset({"date"})
REQUIRED = ("task", "names", "stride", "imgsz")


def served_metadata(exported: Mapping[str, Any], dynamic_size: bool = False) -> dict[str, Any]:
    """The metadata that is published.

    `args.dynamic` says whether height and width vary (the batch always does). Where they do not, clients that read it
    must send square images of `imgsz`, which is how the model is measured.
    """
    kept = {key: value for key, value in exported.items() if key not in DROPPED}
    kept["names"] = {int(number): str(name) for number, name in dict(kept["names"]).items()}
    arguments = {key: value for key, value in dict(kept.get("args") or {}).items() if key != "data"}
    return kept | {
        "description": str(kept.get("description", "")).strip(),
        "args": arguments | {"dynamic": dynamic_size},
    }


def missing_keys(metadata: Mapping[str, Any]) -> list[str]:
    """Keys that a server needs to recognise a detector, and that are not there."""
    return [key for key in REQUIRED if not metadata.get(key)]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What all variants of a model have in common."""

    names: tuple[str, ...]
    """Class names by class id."""
    stride: int
    imgsz: int
    """Side of the input in pixels."""


def model_facts(metadata: Mapping[str, Any]) -> ModelFacts:
    """Reads the facts out of an artefact's metadata."""
    names = dict(metadata["names"])
    height, _ = metadata["imgsz"]
    return ModelFacts(tuple(str(names[number]) for number in range(len(names))), int(metadata["stride"]), int(height))


def read_facts(exported: Path) -> ModelFacts:
    """The facts that the `export` stage left."""
    content = json.loads((exported / FACTS).read_text(encoding="utf-8"))
    return ModelFacts(tuple(content["names"]), content["stride"], content["imgsz"])
