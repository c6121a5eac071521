"""The model card: what the model is, what it was made of, what was measured, and under which licence it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pasarela_training.config import Config, EvaluateSection, Hyperparameters
from pasarela_training.evaluate.stage import Measured
from pasarela_training.variants import VARIANTS


def model_card(config: Config, version: int, sample: Mapping[str, Any], measured: Sequence[Measured]) -> str:
    """The card in Markdown.

    Args:
        config: What the model was made by.
        version: Its version in the repository.
        sample: The manifest of the `sample` stage.
        measured: The figures of every variant.
    """
    name = config.publish.name
    lines = [
        f"# {name}, version {version}",
        "",
        _what(config, len(sample["splits"]["train"]["classes"])),
        f"`{name}` takes encoded images and runs `{name}_{config.publish.serve}`; the raw models take tensors: "
        + ", ".join(f"`{name}_{one.variant}`" for one in measured)
        + ".",
        "",
        "## Data",
        "",
        *_data(config),
        "",
        "| split | images | garments |",
        "|---|---|---|",
        *(f"| {split} | {counts['images']} | {counts['items']} |" for split, counts in sample["splits"].items()),
        "",
        f"Split by a shuffle of single {'images' if sample['group'] == 'image' else 'pairs'}, seed {sample['seed']}.",
        "",
        "## Training",
        "",
        *_training(config),
        "",
        "## Measured",
        "",
        _method(config.evaluate),
        "",
        *_figures(measured),
        "",
        *_classes(config, measured),
        "",
        "## Licence",
        "",
        "AGPL-3.0: the network and the training code are Ultralytics', and so the weights come under its licence.",
        "",
    ]
    return "\n".join(lines)


def _what(config: Config, classes: int) -> str:
    side = config.train.imgsz_final
    network = Path(config.train.model).stem
    return f"A detector of garments: {network}, input {side} × {side} pixels, {classes} classes."


def _method(section: EvaluateSection) -> str:
    return (
        "COCO box mAP by pycocotools, through the server's own letterbox, backends and suppression "
        f"(confidence {section.confidence}, IoU {section.iou}, at most {section.max_detections} detections per "
        "image). Each variant ran at the precision at which it is served, which the last column names."
    )


def _data(config: Config) -> list[str]:
    drawn = config.dataset.synthesize
    if drawn is None:
        return ["A dataset in DeepFashion2's layout, which whoever trained this model provided."]
    what = (
        f"Synthetic: {drawn.images} drawn images ({drawn.difficulty} scenes, {drawn.class_prior} classes, seed "
        f"{drawn.seed}) in DeepFashion2's annotation schema. No photograph and no image of DeepFashion2 is in it."
    )
    warning = (
        "**The figures below are figures on drawn images. They say nothing about real photographs, and they are not "
        "comparable with figures on DeepFashion2.**"
    )
    return [what, warning]


def _training(config: Config) -> list[str]:
    start = "random weights" if not config.train.model.endswith(".pt") else "a checkpoint"
    lines = [
        f"From {start}, seed {config.train.seed}, {config.train.precision}.",
        "",
        "| phase | pixels | epochs | batch | optimizer | peak learning rate | mosaic (last epochs without) |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [_phase(number, phase) for number, phase in enumerate(config.train.schedule(), start=1)]


def _phase(number: int, phase: Hyperparameters) -> str:
    return (
        f"| {number} | {phase.imgsz} | {phase.epochs} | {phase.batch} | {phase.optimizer} | {phase.lr0:g} | "
        f"{phase.mosaic:g} ({phase.close_mosaic}) |"
    )


def _figures(measured: Sequence[Measured]) -> list[str]:
    splits = list(measured[0].splits)
    head = " | ".join(f"{split} mAP50 | {split} mAP50-95" for split in splits)
    lines = [f"| variant | {head} | run by |", "|---|" + "---|---|" * len(splits) + "---|"]
    for one in measured:
        cells = " | ".join(f"{one.splits[split].map50:.4f} | {one.splits[split].map50_95:.4f}" for split in splits)
        lines.append(f"| {VARIANTS[one.variant].title} | {cells} | {one.description} |")
    return lines


def _classes(config: Config, measured: Sequence[Measured]) -> list[str]:
    served = next(one for one in measured if one.variant == config.publish.serve)
    split = list(served.splits)[-1]
    return [
        f"By class, {VARIANTS[served.variant].title}, {split}:",
        "",
        "| class | AP50-95 |",
        "|---|---|",
        *(f"| {name} | {value:.4f} |" for name, value in served.splits[split].classes.items()),
    ]
