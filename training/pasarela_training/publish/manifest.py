"""The manifest of a version: what its files are, what was measured of them, and on what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pasarela_training.config import Variant
from pasarela_training.evaluate.measured import Measured
from pasarela_training.publish.gate import GATED_SPLIT, Evidence, Verdict

MANIFEST = "manifest.json"


def version_manifest(
    model: str,
    version: int,
    sums: Mapping[str, str],
    config_text: str,
    one: Measured,
    verdict: Verdict,
    evidence: Evidence,
    sample: Mapping[str, Any],
) -> dict[str, Any]:
    """What `manifest.json` says. Nothing of this machine and this day is in it: equal runs write equal manifests.

    Args:
        model: Name of the raw model.
        version: Its number.
        sums: SHA-256 of its files.
        config_text: What was written as config.pbtxt.
        one: The figures of its variant.
        verdict: What the gate said; reasons stand here when they were overridden.
        evidence: All figures.
        sample: The manifest of the `sample` stage.
    """
    served, check = evidence.served.get(one.variant), evidence.checks.get(one.variant)
    return {
        "model": model,
        "version": version,
        "sha256": dict(sums),
        "config_sha256": text_sha256(config_text),
        "measured": {
            "by": one.description,
            "splits": {split: _figures(scores) for split, scores in one.splits.items()},
            "served": {split: _figures(scores) for split, scores in served.splits.items()} if served else {},
        },
        "compared_with_the_checkpoint": asdict(check) if check is not None else None,
        "data": {
            "seed": sample.get("seed"),
            "layout": sample.get("layout"),
            "splits": {
                split: {"images": counts.get("images"), "digest": counts.get("digest")}
                for split, counts in sample.get("splits", {}).items()
            },
        },
        "published_in_spite_of": list(verdict.reasons),
    }


def read_manifest(version: Path) -> dict[str, Any]:
    """The manifest in a version's folder; empty if there is none that can be read."""
    try:
        content = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def previous_scores(
    repository: Path, models: Mapping[Variant, str], versions: Mapping[str, int], sample: Mapping[str, Any]
) -> dict[Variant, float]:
    """mAP50-95 on the gated split of published versions that were measured on the very images of this run.

    Args:
        repository: The model repository.
        models: Name of the raw model of each variant.
        versions: The version of each model that a publication would follow.
        sample: The manifest of the `sample` stage.
    """
    digest = sample.get("splits", {}).get(GATED_SPLIT, {}).get("digest")
    found: dict[Variant, float] = {}
    for variant, model in models.items():
        if digest is None or model not in versions:
            continue
        manifest = read_manifest(repository / model / str(versions[model]))
        try:
            same = manifest["data"]["splits"][GATED_SPLIT]["digest"] == digest
            figure = float(manifest["measured"]["splits"][GATED_SPLIT]["map50_95"])
        except (KeyError, TypeError, ValueError):
            continue
        if same:
            found[variant] = figure
    return found


def text_sha256(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _figures(scores: Any) -> dict[str, float]:
    return {key: round(getattr(scores, key), 6) for key in ("map50_95", "map50", "map75")}
