"""Publishing the variants that the gate lets through, as one version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pasarela_training.config import Config, Variant
from pasarela_training.errors import PublicationRefused, TrainingError
from pasarela_training.evaluate.measured import RESULTS, Measured, read_measured
from pasarela_training.export.check import CHECKS, read_checks
from pasarela_training.export.metadata import ModelFacts, read_facts
from pasarela_training.publish.card import model_card, variant_card
from pasarela_training.publish.gate import Evidence, Verdict, judge_variants, verdict_table
from pasarela_training.publish.lock import publishing
from pasarela_training.publish.manifest import previous_scores, read_manifest, text_sha256, version_manifest
from pasarela_training.publish.model_config import LABELS, detection_config, raw_config
from pasarela_training.publish.repository import (
    clear_leftovers,
    note_config,
    published_versions,
    put_texts,
    put_version,
    sums_of,
)
from pasarela_training.publish.versions import Sums, next_version
from pasarela_training.stage import Say
from pasarela_training.variants import variant_specs

CARD = "MODEL_CARD.md"
CONFIG = "config.pbtxt"


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to publish."""

    config: Config
    exported: Path
    facts: ModelFacts
    sample: Mapping[str, Any]
    """The manifest of the `sample` stage."""
    evidence: Evidence

    def model(self, variant: Variant) -> str:
        """Name of a variant's raw model."""
        return f"{self.config.publish.name}_{variant}"

    def files(self, variant: Variant) -> list[Path]:
        """The files of a variant."""
        return [self.exported / variant / name for name in variant_specs(self.config.publish)[variant].files]

    @property
    def labels(self) -> str:
        """The content of labels.txt."""
        return "".join(f"{name}\n" for name in self.facts.names)

    def config_text(self, variant: Variant) -> str:
        """The content of a raw model's config.pbtxt."""
        section = self.config.publish
        spec = variant_specs(section)[variant]
        dynamic = self.config.export.dynamic_size and variant != "int8"
        return raw_config(self.model(variant), spec, self.facts, section.max_batch_size, dynamic_size=dynamic)


def publish(
    config: Config,
    *,
    sample: Path,
    exported: Path,
    evaluated: Path,
    verified: Path | None = None,
    allow_worse: bool = False,
    say: Say = print,
) -> str:
    """Puts what was exported and measured into the repository.

    Args:
        config: The configuration.
        sample: Output of the `sample` stage.
        exported: Output of the `export` stage.
        evaluated: Output of the `evaluate` stage.
        verified: Output of the `verify` stage, if it ran.
        allow_worse: Publish what the gate refuses, too; manifest and card say so.
        say: Receives lines for the person.

    Returns:
        One line that says what is published now.

    Raises:
        PublicationRefused: The gate refused a variant; those that it did not refuse are published, unless the refused
            one is the variant that the detection model runs.
        TrainingError: The repository's folder is a file, or cannot be written.
    """
    repository = config.publish.repository
    if repository.exists() and not repository.is_dir():
        raise TrainingError(f"publish.repository: {repository} is a file; give a folder")
    material = gather(config, sample=sample, exported=exported, evaluated=evaluated, verified=verified)
    verdicts = judge_variants(material.evidence, config)
    refused = [] if allow_worse else [verdict for verdict in verdicts if not verdict.allowed]
    table = verdict_table(material.evidence, verdicts)
    if any(verdict.variant == config.publish.serve for verdict in refused):
        raise PublicationRefused(
            f"publish: refused, nothing was published: {config.publish.serve}, which {config.publish.name} runs, "
            f"is not good enough (--allow-worse overrides it)\n{table}"
        )
    try:
        repository.mkdir(parents=True, exist_ok=True)
        with publishing(repository, say):
            clear_leftovers(repository)
            done = put_variants(material, [verdict for verdict in verdicts if verdict not in refused], say)
    except OSError as error:
        raise TrainingError(
            f"publish: {repository} cannot be written: {error}; what was published before is untouched, "
            f"and the same command goes on from here"
        ) from error
    if refused:
        names = ", ".join(verdict.variant for verdict in refused)
        raise PublicationRefused(f"publish: {names} refused (--allow-worse overrides it); {done}\n{table}")
    overridden = [verdict for verdict in verdicts if not verdict.allowed]
    if overridden:
        say(f"publish: in spite of the figures, as --allow-worse says:\n{table}")
    return done


def gather(config: Config, *, sample: Path, exported: Path, evaluated: Path, verified: Path | None) -> Material:
    """Reads what the stages before left. See `publish` for the arguments."""
    manifest: dict[str, Any] = json.loads((sample / "manifest.json").read_text(encoding="utf-8"))
    measured = read_measured(evaluated)
    served: dict[Variant, Measured] = {}
    if verified is not None and (verified / RESULTS).is_file():
        served = {one.variant: one for one in read_measured(verified)}
    checks = read_checks(exported) if (exported / CHECKS).is_file() else {}
    repository = config.publish.repository
    models: dict[Variant, str] = {one.variant: f"{config.publish.name}_{one.variant}" for one in measured}
    versions = {model: max(found) for model in models.values() if (found := published_versions(repository / model))}
    previous = previous_scores(repository, models, versions, manifest)
    return Material(config, exported, read_facts(exported), manifest, Evidence(measured, served, checks, previous))


def put_variants(material: Material, verdicts: Sequence[Verdict], say: Say) -> str:
    """Writes variants and the detection model into the repository; the caller holds the lock.

    Returns:
        One line that says what is there now.
    """
    config, section = material.config, material.config.publish
    repository = section.repository
    new: dict[str, Sums] = {material.model(v.variant): sums_of(material.files(v.variant)) for v in verdicts}
    existing = {model: published_versions(repository / model) for model in new}
    version = next_version(existing, new)
    measured = {one.variant: one for one in material.evidence.measured}
    added, changed = [], []
    for verdict in verdicts:
        variant, model = verdict.variant, material.model(verdict.variant)
        text, one = material.config_text(variant), measured[variant]
        beside = {LABELS: material.labels, CARD: variant_card(config, version, one, verdict, material.evidence)}
        if not _edited(repository / model, existing[model], text):
            beside[CONFIG] = text
        else:
            say(f"publish: {repository / model / CONFIG} was edited by hand and stays as it is")
        if version in existing[model]:
            changed += put_texts(repository / model, beside)
            if CONFIG in beside:
                note_config(repository / model / str(version), text)
            continue
        manifest = version_manifest(model, version, new[model], text, one, verdict, material.evidence, material.sample)
        put_version(repository, model, version, material.files(variant), beside, manifest)
        added.append(model)
    changed += _put_detection_model(material, version, verdicts, say)
    served = material.model(section.serve)
    if not added and not changed:
        return f"version {version} in {repository} is what was measured; nothing new to publish"
    what = ", ".join(added) or "nothing new"
    return f"version {version} in {repository}: {what}; {section.name} runs {served}"


def _put_detection_model(material: Material, version: int, verdicts: Sequence[Verdict], say: Say) -> list[str]:
    section = material.config.publish
    folder = section.repository / section.name
    card = model_card(material.config, version, material.sample, verdicts, material.evidence)
    texts = {LABELS: material.labels, CARD: card}
    written_by_us = {detection_config(section.name, material.model(variant)) for variant in get_args(Variant)}
    path = folder / CONFIG
    if path.is_file() and path.read_text(encoding="utf-8") not in written_by_us:
        say(f"publish: {path} was edited by hand and stays as it is")
    else:
        texts[CONFIG] = detection_config(section.name, material.model(section.serve))
    return put_texts(folder, texts)


def _edited(model: Path, existing: Mapping[int, Sums], text: str) -> bool:
    """True if config.pbtxt is neither what would be written now nor what was written last."""
    path = model / CONFIG
    if not existing or not path.is_file():
        return False
    found = path.read_text(encoding="utf-8")
    written = read_manifest(model / str(max(existing))).get("config_sha256")
    return found != text and written is not None and text_sha256(found) != written
