"""Model cards: what a model is, what it was made of, what was measured, and under which licence it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pasarela_training.config import Config, EvaluateSection, Hyperparameters
from pasarela_training.evaluate.measured import Measured
from pasarela_training.evaluate.scores import SIZES
from pasarela_training.evaluate.tables import figure_text
from pasarela_training.export.check import VariantCheck
from pasarela_training.publish.gate import GATED_SPLIT, Evidence, Verdict
from pasarela_training.variants import VARIANTS

_LICENCE = [
    "## Licence",
    "",
    "AGPL-3.0: the network and the training code are Ultralytics', and so the weights come under its licence.",
    "",
]


def model_card(
    config: Config, version: int, sample: Mapping[str, Any], verdicts: Sequence[Verdict], evidence: Evidence
) -> str:
    """The card of the detection model, in Markdown.

    Args:
        config: What the model was made by.
        version: Its version in the repository.
        sample: The manifest of the `sample` stage.
        verdicts: On the variants that are published.
        evidence: The figures.
    """
    name = config.publish.name
    published = {verdict.variant for verdict in verdicts}
    measured = [one for one in evidence.measured if one.variant in published]
    lines = [
        f"# {name}, version {version}",
        "",
        _what(config, sample),
        f"`{name}` takes encoded images and runs `{name}_{config.publish.serve}`; the raw models take tensors: "
        + ", ".join(f"`{name}_{one.variant}`" for one in measured)
        + ".",
        "",
        "## Data",
        "",
        *_data(config, sample),
        "",
        "| split | images | objects |",
        "|---|---|---|",
        *(f"| {split} | {counts['images']} | {counts['items']} |" for split, counts in sample["splits"].items()),
        "",
        f"Split by a shuffle of single {sample['group']}s, seed {sample['seed']}.",
        "",
        "## Training",
        "",
        *_training(config),
        "",
        "## Measured",
        "",
        _method(config.evaluate),
        "",
        *_figures(measured, evidence),
        "",
        *_overridden(verdicts),
        *_classes(config, measured),
        "",
        *_LICENCE,
    ]
    return "\n".join(lines)


def variant_card(config: Config, version: int, one: Measured, verdict: Verdict, evidence: Evidence) -> str:
    """The card of one raw model, in Markdown.

    Args:
        config: What the model was made by.
        version: Its version in the repository.
        one: Its own figures.
        verdict: What the gate said of it.
        evidence: All figures.
    """
    section = config.publish
    name = f"{section.name}_{one.variant}"
    lines = [
        f"# {name}, version {version}",
        "",
        _part_of(section.name, one),
        "",
        *_figures([one], evidence),
        "",
        *_overridden([verdict]),
        *_comparison(one, evidence),
        *_LICENCE,
    ]
    return "\n".join(lines)


def _what(config: Config, sample: Mapping[str, Any]) -> str:
    side = config.train.imgsz_final
    classes = len(sample["splits"]["train"]["classes"])
    return f"A detector: {Path(config.train.model).stem}, input {side} × {side} pixels, {classes} classes."


def _method(section: EvaluateSection) -> str:
    return (
        "COCO box mAP by pycocotools, through the server's own letterbox, backends and suppression "
        f"(confidence {section.confidence}, IoU {section.iou}, at most {section.max_detections} detections per "
        "image). Each variant ran at the precision at which it is served, which the last column names. *Served*: "
        "mAP50-95 once more, through a running server, over gRPC."
    )


def _data(config: Config, sample: Mapping[str, Any]) -> list[str]:
    drawn = config.dataset.synthesize
    if drawn is None:
        layout = f" in the layout of {sample['layout']}" if sample.get("layout") else ""
        return [f"A dataset{layout}, which whoever trained this model provided."]
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


def _figures(measured: Sequence[Measured], evidence: Evidence) -> list[str]:
    lines = [
        f"| variant | split | mAP50 | mAP50-95 | mAP75 | {' | '.join(SIZES)} | served | run by |",
        "|---|---|---|---|---|" + "---|" * len(SIZES) + "---|---|",
    ]
    for one in measured:
        served = evidence.served.get(one.variant)
        for split, scores in one.splits.items():
            through = served.splits.get(split) if served is not None else None
            figures = (
                scores.map50,
                scores.map50_95,
                scores.map75,
                *(scores.sizes.get(size) for size in SIZES),
                through.map50_95 if through is not None else None,
            )
            cells = " | ".join(figure_text(figure) for figure in figures)
            lines.append(f"| {VARIANTS[one.variant].title} | {split} | {cells} | {one.description} |")
    return lines


def _overridden(verdicts: Sequence[Verdict]) -> list[str]:
    lines = [f"- {verdict.variant}: {reason}" for verdict in verdicts for reason in verdict.reasons]
    return ["**Published in spite of this, as `--allow-worse` said:**", "", *lines, ""] if lines else []


def _comparison(one: Measured, evidence: Evidence) -> list[str]:
    check = evidence.checks.get(one.variant)
    if check is None:
        return []
    lines = [
        "## Compared with the checkpoint",
        "",
        _likeness(check),
        "",
    ]
    if one.variant == "int8":
        kept = ", ".join(f"`{layer}`" for layer in check.reverted_layers) or "none"
        lines += [f"Layers that went back to floating point to hold the accuracy: {kept}.", ""]
        if check.ignored_layers:
            ignored = ", ".join(f"`{layer}`" for layer in check.ignored_layers)
            lines += [f"Layers that are never quantised: {ignored}.", ""]
    return lines


def _part_of(name: str, one: Measured) -> str:
    return (
        f"{VARIANTS[one.variant].title} of [{name}](../{name}/MODEL_CARD.md), where data, training and method are "
        f"described. Takes tensors; run by {one.description}."
    )


def _likeness(check: VariantCheck) -> str:
    return (
        f"On images of val: {check.matched:.1%} of the detections have their like in PyTorch's (same class, IoU at "
        f"least 0.9), mean IoU {check.mean_iou:.4f}, scores up to {check.score_difference:.4f} apart."
    )


def _classes(config: Config, measured: Sequence[Measured]) -> list[str]:
    served = next(one for one in measured if one.variant == config.publish.serve)
    split = GATED_SPLIT if GATED_SPLIT in served.splits else next(iter(served.splits))
    return [
        f"By class, {VARIANTS[served.variant].title}, {split}:",
        "",
        "| class | AP50-95 |",
        "|---|---|",
        *(f"| {_cell(name)} | {value:.4f} |" for name, value in served.splits[split].classes.items()),
    ]


def _cell(text: str) -> str:
    """A text that cannot end its cell of a table."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
