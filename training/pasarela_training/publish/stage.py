"""Publishing all variants as one version."""

from __future__ import annotations

import json
from pathlib import Path

from pasarela_training.config import Config
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.stage import read_measured
from pasarela_training.export.metadata import read_facts
from pasarela_training.publish.card import model_card
from pasarela_training.publish.gate import check_allowed
from pasarela_training.publish.model_config import LABELS, detection_config, raw_config
from pasarela_training.publish.repository import published_versions, put_texts, put_version, sums_of
from pasarela_training.publish.versions import next_version
from pasarela_training.variants import variant_specs

CARD = "MODEL_CARD.md"
CONFIG = "config.pbtxt"


def publish(config: Config, sample: Path, exported: Path, evaluated: Path) -> str:
    """Puts what was exported and measured into the repository.

    Args:
        config: The configuration.
        sample: Output of the `sample` stage.
        exported: Output of the `export` stage.
        evaluated: Output of the `evaluate` stage.

    Returns:
        One line that says what is published now.

    Raises:
        PublicationRefused: The figures forbid it; nothing was changed.
        TrainingError: The repository's folder is a file.
    """
    section = config.publish
    measured = read_measured(evaluated)
    check_allowed(measured, section)
    repository = section.repository
    if repository.exists() and not repository.is_dir():
        raise TrainingError(f"publish.repository: {repository} is a file; give a folder")
    specs = variant_specs(section)
    files = {
        f"{section.name}_{variant}": [exported / variant / name for name in specs[variant].files]
        for variant in config.export.variants
    }
    new = {model: sums_of(paths) for model, paths in files.items()}
    existing = {model: published_versions(repository / model) for model in new}
    version = next_version(existing, new)
    repository.mkdir(parents=True, exist_ok=True)
    facts = read_facts(exported)
    labels = "".join(f"{name}\n" for name in facts.names)
    added = []
    for variant in config.export.variants:
        model = f"{section.name}_{variant}"
        text = raw_config(model, specs[variant], facts, section.max_batch_size)
        beside = {CONFIG: text, LABELS: labels}
        if version in existing[model]:
            put_texts(repository / model, beside)
            continue
        manifest = {"model": model, "version": version, "sha256": new[model]}
        put_version(repository, model, version, files[model], beside, manifest)
        added.append(model)
    card = model_card(config, version, json.loads((sample / "manifest.json").read_text(encoding="utf-8")), measured)
    served = f"{section.name}_{section.serve}"
    changed = put_texts(
        repository / section.name, {LABELS: labels, CARD: card, CONFIG: detection_config(section.name, served)}
    )
    if not added and not changed:
        return f"version {version} in {repository} is what was measured; nothing new to publish"
    what = ", ".join(added) or "nothing new"
    return f"version {version} in {repository}: {what}; {section.name} runs {served}"
