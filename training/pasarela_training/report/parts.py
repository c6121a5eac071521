"""What the report shows, read from a workspace; whatever is missing, or cannot be read, is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.stage import Measured, read_measured
from pasarela_training.export.check import read_checks
from pasarela_training.report.pictures import inlined

EXAMPLES = 12
FAULTS = 20


@dataclass(frozen=True, slots=True)
class Table:
    """Cells; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with what it shows."""

    uri: str
    caption: str


def read_json(path: Path) -> Any:
    """The content; None if it cannot be read."""
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def data(workspace: Path) -> list[Table]:
    """How the images were chosen, and how many objects of each class every split has."""
    manifest = read_json(workspace / "sample" / "manifest.json")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("splits"), dict):
        return []
    splits: dict[str, dict[str, Any]] = manifest["splits"]
    chosen = [[key, str(manifest[key])] for key in ("layout", "seed", "group", "stratify") if key in manifest]
    chosen += [[f"mended: {what}", str(count)] for what, count in manifest.get("mended", {}).items()]
    chosen += [[f"digest of {split}", str(counts.get("digest", "–"))] for split, counts in splits.items()]
    sizes = [[split, str(counts["images"]), str(counts["items"])] for split, counts in splits.items()]
    names = dict.fromkeys(name for counts in splits.values() for name in counts["classes"])
    classes = [[name, *(str(counts["classes"].get(name, 0)) for counts in splits.values())] for name in names]
    return [
        Table(("chosen by", ""), chosen),
        Table(("split", "images", "objects"), sizes),
        Table(("class", *splits), classes, "Objects of each class"),
    ]


def faults(workspace: Path) -> list[Table]:
    """Faults that the stages `sample` and `coco` found: counts, and the first of them."""
    tables = []
    for stage in ("sample", "coco"):
        content = read_json(workspace / stage / "report.json")
        if not isinstance(content, dict):
            continue
        counted = [["images read", str(content.get("images", 0))]]
        counted += [["images that lost something", str(content.get("images_that_lost_something", 0))]]
        counted += [[kind, str(count)] for kind, count in content.get("kinds", {}).items()]
        tables.append(Table(("found", "count"), counted, f"Stage {stage}"))
        listed = content.get("faults", [])[:FAULTS]
        if listed:
            keys = ("image", "where", "reason", "action")
            tables.append(Table(keys, [[str(one.get(key, "")) for key in keys] for one in listed], "The first of them"))
    return tables


def measured(folder: Path) -> list[Measured]:
    """Figures of `evaluate` or `verify`."""
    try:
        return read_measured(folder)
    except TrainingError:
        return []


def accuracy(workspace: Path) -> list[Table]:
    """The mAP by variant, in process and through the server, then by size and by class."""
    inside, served = measured(workspace / "evaluate"), measured(workspace / "verify")
    rows = [
        [one.variant, where, split, *(f"{value:.4f}" for value in (scores.map50_95, scores.map50, scores.map75))]
        for where, found in (("in process", inside), ("through the server", served))
        for one in found
        for split, scores in one.splits.items()
    ]
    tables = [Table(("variant", "measured", "split", "mAP50-95", "mAP50", "mAP75"), rows)] if rows else []
    for split in sorted({split for one in inside for split in one.splits}):
        of_split = {one.variant: one.splits[split] for one in inside if split in one.splits}
        sizes = dict.fromkeys(size for scores in of_split.values() for size in scores.sizes)
        if sizes:
            by_size = [
                [name, *(_figure(scores.sizes.get(size)) for size in sizes)] for name, scores in of_split.items()
            ]
            tables.append(Table(("variant", *sizes), by_size, f"mAP50-95 by size, {split}"))
        classes = dict.fromkeys(name for scores in of_split.values() for name in scores.classes)
        by_class = [
            [name, *(_figure(scores.classes.get(name)) for scores in of_split.values()),
             *(_figure(scores.classes50.get(name)) for scores in of_split.values())]
            for name in classes
        ]  # fmt: skip
        header = ("class", *(f"{name} AP50-95" for name in of_split), *(f"{name} AP50" for name in of_split))
        tables.append(Table(header, by_class, f"By class, {split}"))
    return tables


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def checks(workspace: Path) -> list[Table]:
    """How the exported variants compare with PyTorch."""
    try:
        found = read_checks(workspace / "export")
    except TrainingError:
        return []
    rows = [
        [
            variant,
            "passed" if one.passed else "; ".join(one.reasons) or "not passed",
            one.precision,
            f"{one.batch_box_px:.3f}",
            f"{one.matched:.1%}",
            f"{one.mean_iou:.4f}",
            f"{one.score_difference:.4f}",
            _figure(one.map_drop),
            ", ".join(one.reverted_layers) or "–",
        ]
        for variant, one in found.items()
    ]
    header = (
        *("variant", "result", "precision", "batch px", "same detections", "IoU", "score difference"),
        *("mAP50-95 lost on val", "layers back in floating point"),
    )
    return [Table(header, rows)]


def comparison(workspace: Path) -> list[Table]:
    """Speed of the variants, and the machine that it was measured on."""
    content = read_json(workspace / "compare" / "results.json")
    if not isinstance(content, dict) or not {"header", "table", "machine"} <= content.keys():
        return []
    machine = {**content["machine"]}
    packages = machine.pop("packages", {})
    described = [[key.replace("_", " "), str(value)] for key, value in {**machine, **packages}.items()]
    for name, one in content.get("variants", {}).items():
        described += [[name, text] for text in one.get("descriptions", ())]
    return [Table(content["header"], content["table"]), Table(("machine", ""), described)]


def pictures(paths: Sequence[Path]) -> list[Shown]:
    """Those of the files that are pictures."""
    found = ((inlined(path), path.stem) for path in paths)
    return [Shown(uri, caption) for uri, caption in found if uri is not None]


def examples(workspace: Path) -> list[Shown]:
    """The worst images of the last split that was looked at."""
    content = read_json(workspace / "look" / "missed.json")
    if not isinstance(content, dict) or not content:
        return []
    shown = []
    for one in list(content.values())[-1][:EXAMPLES]:
        uri = inlined(workspace / "look" / one["picture"])
        wrong = f"{one['missed']} missed, {one['false_alarms']} false alarms, {one['wrong_class']} of a wrong class"
        if uri is not None:
            shown.append(Shown(uri, f"{one['image']}: {wrong}"))
    return shown
