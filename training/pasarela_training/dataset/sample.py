"""The `sample` stage: a seeded choice of images, split into train, val and test."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from pasarela_training.config import SampleSection
from pasarela_training.dataset.groups import group_images
from pasarela_training.dataset.records import ImageKey
from pasarela_training.dataset.report import FaultReport
from pasarela_training.dataset.sources.base import Source
from pasarela_training.dataset.split import SPLITS, split_shuffled
from pasarela_training.dataset.store import read_sums, store_images, write_sums
from pasarela_training.dataset.stratify import Group, balanced_choice, proportional_choice, stratified_parts
from pasarela_training.dataset.survey import Seen, survey
from pasarela_training.errors import TrainingError

MANIFEST = "manifest.json"
__all__ = ["MANIFEST", "make_sample", "read_sample", "read_sums"]


def make_sample(source: Source, section: SampleSection, *, processes: int, max_broken: float, output: Path) -> str:
    """Chooses and splits images.

    Writes `train.txt`, `val.txt` and `test.txt` (a key on each line), `SHA256SUMS`, `report.json`, `manifest.json`, and
    `images/` if they are to be stored.

    Args:
        source: The dataset.
        section: What to choose.
        processes: How many to use at the most.
        max_broken: The share of images that may lose something to faults.
        output: Folder to write into.

    Returns:
        One line that says what was chosen.

    Raises:
        TrainingError: There are too few usable images, too many faults, or an image cannot be read.
    """
    entries, unlisted = source.entries(section.splits)
    report = FaultReport("sample")
    report.add(unlisted)
    report.read(len({fault.key for fault in unlisted} | {entry.key for entry in entries}))
    keys: list[ImageKey] = []
    usable: list[Seen] = []
    for entry, seen, faults in survey(source, entries, processes):
        report.add(faults)
        if seen is not None:
            keys.append(entry.key)
            usable.append(seen)
    report.check(max_broken, keep_in=output.parent)
    parts = _choose(usable, section, str(source.image_root))
    names = [usable[index].file_name for part in parts for index in part]
    sums = store_images(source.image_root, names, section.store, output, processes)
    splits = dict(zip(SPLITS, parts, strict=True))
    for split, part in splits.items():
        (output / f"{split}.txt").write_text("".join(f"{keys[index]}\n" for index in part), encoding="utf-8")
    write_sums(output, sums)
    report.write(output)
    manifest = _manifest(source, section, {split: [usable[at] for at in part] for split, part in splits.items()}, sums)
    manifest["faults"] = {name: report.as_json()[name] for name in ("counts", "kinds")}
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (output / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return _summary(source, section, parts, report)


def read_sample(folder: Path) -> dict[str, list[ImageKey]]:
    """The images of each split, as `make_sample` left them."""
    return {
        split: [
            ImageKey.parse(line) for line in (folder / f"{split}.txt").read_text(encoding="utf-8").split("\n") if line
        ]
        for split in SPLITS
    }


def _choose(usable: Sequence[Seen], section: SampleSection, place: str) -> list[list[int]]:
    """Positions of the images of each split."""
    limit = None if section.images == "all" else section.images
    if limit is not None and limit > len(usable):
        raise TrainingError(
            f"sample.images asks for {limit} images, {place} has {len(usable)} usable ones; "
            f"ask for fewer, or add to sample.splits"
        )
    kin = group_images([seen.kinship for seen in usable], section.group)
    try:
        if section.stratify == "none":
            return split_shuffled(range(len(usable)), kin, section.ratios, section.seed, limit)
        return _choose_stratified(usable, kin, section, limit)
    except ValueError as error:
        raise TrainingError(
            f"{place} has {len(usable)} usable images, too few to split with sample.group '{section.group}': {error}"
        ) from error


def _choose_stratified(
    usable: Sequence[Seen], kin: Sequence[Hashable], section: SampleSection, limit: int | None
) -> list[list[int]]:
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(kin):
        members.setdefault(group, []).append(index)
    images = list(members.values())
    groups = [_group([usable[index] for index in one]) for one in images]
    if limit is not None:
        choice = balanced_choice if section.stratify == "balanced" else proportional_choice
        taken = choice(groups, limit, section.seed)
        images, groups = [images[at] for at in taken], [groups[at] for at in taken]
    parts = stratified_parts(groups, section.ratios, section.seed)
    return [sorted(index for at in part for index in images[at]) for part in parts]


def _group(images: Sequence[Seen]) -> Group:
    classes: Counter[int] = Counter()
    for seen in images:
        classes.update(dict(seen.classes))
    return Group(len(images), dict(sorted(classes.items())))


def _manifest(
    source: Source, section: SampleSection, splits: dict[str, list[Seen]], sums: dict[str, str]
) -> dict[str, Any]:
    counts = {}
    for split, images in splits.items():
        classes = _group(images).classes
        counts[split] = {
            "images": len(images),
            "items": sum(classes.values()),
            "classes": {category.name: classes.get(category.id, 0) for category in source.categories},
            "digest": _content_digest(images, sums),
        }
    return {
        "seed": section.seed,
        "layout": source.layout,
        "source": source.image_root.resolve().name,
        "from": list(section.splits),
        "group": section.group,
        "stratify": section.stratify,
        "store": section.store,
        "ratios": list(section.ratios),
        "categories": [
            {
                "id": category.id,
                "name": category.name,
                "supercategory": category.supercategory,
                "landmarks": category.landmarks,
            }
            for category in source.categories
        ],
        "mended": dict(sorted(source.mended.items())),
        "splits": counts,
    }


def _content_digest(images: Sequence[Seen], sums: dict[str, str]) -> str:
    """SHA-256 over the images of a split and what is annotated in them, whatever their order."""
    digest = hashlib.sha256()
    for line in sorted(f"{sums[seen.file_name]}  {seen.file_name}\n{seen.digest}\n" for seen in images):
        digest.update(line.encode())
    return digest.hexdigest()


def _summary(source: Source, section: SampleSection, parts: Sequence[Sequence[int]], report: FaultReport) -> str:
    words = [
        ", ".join(f"{len(part)} {split}" for split, part in zip(SPLITS, parts, strict=True)),
        f"faults: {report.summary}",
    ]
    mended = ", ".join(f"{count} {what}" for what, count in sorted(source.mended.items()))
    if mended:
        words.append(f"mended: {mended}")
    words.append(f"grouped by {section.group}")
    if section.stratify != "none":
        words.append(f"stratified ({section.stratify})")
    return "; ".join(words)
