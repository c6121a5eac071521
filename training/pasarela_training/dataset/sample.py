"""The `sample` stage: a seeded choice of images, split into train, val and test."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pasarela_training.config import SampleSection
from pasarela_training.dataset.deepfashion2 import (
    Annotation,
    BrokenAnnotation,
    Fault,
    ImageKey,
    annotation_path,
    image_path,
    read_annotation,
)
from pasarela_training.dataset.split import SPLITS, split_shuffled
from pasarela_training.errors import TrainingError
from pasarela_training.progress import progress
from pasarela_training.synthesize.categories import CATEGORIES


@dataclass(frozen=True, slots=True)
class Sample:
    """The images of each split."""

    splits: dict[str, list[ImageKey]]
    faults: list[Fault]


def make_sample(source: Path, section: SampleSection, output: Path) -> str:
    """Chooses and splits images, and writes one list per split and a manifest.

    Args:
        source: A folder in DeepFashion2's layout.
        section: What to choose.
        output: Folder to write into.

    Returns:
        One line that says what was chosen.

    Raises:
        TrainingError: The folder has another layout, or too few usable images.
    """
    keys = _list_images(source, section.splits)
    faults = [Fault(key, "image", "the annotation has no image", "dropped") for key in _orphans(source, section, keys)]
    faults += [
        Fault(key, "image", "the file's name is not a number", "dropped") for key in keys if not key.stem.isdecimal()
    ]
    keys = [key for key in keys if key.stem.isdecimal()]
    annotations = dict(_readable(source, progress(keys, "sample"), faults))
    usable = [key for key in keys if key in annotations]
    groups = [(annotations[key].pair_id or str(key)) if section.group == "pair" else str(key) for key in usable]
    limit = None if section.images == "all" else section.images
    if limit is not None and limit > len(usable):
        raise TrainingError(f"sample.images asks for {limit} images, {source} has {len(usable)} usable ones")
    try:
        parts = split_shuffled(usable, groups, section.ratios, section.seed, limit)
    except ValueError as error:
        raise TrainingError(f"{source} has {len(usable)} usable images, too few to split: {error}") from error
    splits = dict(zip(SPLITS, parts, strict=True))
    for split, members in splits.items():
        (output / f"{split}.txt").write_text("".join(f"{key}\n" for key in members), encoding="utf-8")
    manifest = _manifest(section, splits, annotations, faults)
    (output / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    sizes = ", ".join(f"{len(members)} {split}" for split, members in splits.items())
    return f"{sizes}; {len(faults)} faults in the annotations"


def read_sample(folder: Path) -> dict[str, list[ImageKey]]:
    """The images of each split, as `make_sample` left them."""
    return {
        split: [ImageKey(*line.split("/", 1)) for line in (folder / f"{split}.txt").read_text().splitlines()]
        for split in SPLITS
    }


def _list_images(source: Path, splits: Iterable[str]) -> list[ImageKey]:
    keys = []
    for split in splits:
        folder = source / split / "image"
        if not folder.is_dir():
            raise TrainingError(
                f"{folder} is missing: dataset.source must be a folder in DeepFashion2's layout, "
                f"with {split}/image and {split}/annos"
            )
        keys += sorted(ImageKey(split, path.stem) for path in folder.glob("*.jpg"))
    return keys


def _orphans(source: Path, section: SampleSection, keys: list[ImageKey]) -> list[ImageKey]:
    known = set(keys)
    orphans = []
    for split in section.splits:
        stems = (path.stem for path in annotation_path(source, ImageKey(split, "")).parent.glob("*.json"))
        orphans += sorted(key for key in (ImageKey(split, stem) for stem in stems) if key not in known)
    return orphans


def _readable(source: Path, keys: Iterable[ImageKey], faults: list[Fault]) -> Iterator[tuple[ImageKey, Annotation]]:
    for key in keys:
        try:
            annotation, _ = read_annotation(source, key)
        except BrokenAnnotation as error:
            faults.append(Fault(key, "annotation", str(error), "dropped"))
            continue
        if image_path(source, key).stat().st_size == 0:
            faults.append(Fault(key, "image", "the file is empty", "dropped"))
            continue
        yield key, annotation


def _manifest(
    section: SampleSection,
    splits: dict[str, list[ImageKey]],
    annotations: dict[ImageKey, Annotation],
    faults: list[Fault],
) -> dict[str, Any]:
    counts = {}
    for split, members in splits.items():
        classes = Counter(item.category_id for key in members for item in annotations[key].items)
        counts[split] = {
            "images": len(members),
            "items": sum(classes.values()),
            "classes": {category.name: classes[category.id] for category in CATEGORIES},
        }
    return {
        "seed": section.seed,
        "group": section.group,
        "ratios": list(section.ratios),
        "splits": counts,
        "faults": [asdict(fault) for fault in faults],
    }
