"""What a workspace holds, gathered for the page. Whatever is missing is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pasarela_training.config import Config
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.measured import Measured, read_measured
from pasarela_training.export.check import read_checks
from pasarela_training.report.pictures import inlined

EXAMPLES = 12
_FAULTS_SHOWN = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture of the page."""

    caption: str
    source: str
    """A data URI."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that the page shows."""

    title: str
    config: dict[str, Any]
    sample: dict[str, Any] | None = None
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Report of each stage that reads annotations; the list of faults cut short."""
    record: dict[str, Any] | None = None
    curves: str | None = None
    measured: list[Measured] = field(default_factory=list)
    served: dict[str, Measured] = field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    pictures: list[Captioned] = field(default_factory=list)
    comparison: dict[str, Any] | None = None
    comparison_picture: str | None = None
    examples: list[Captioned] = field(default_factory=list)


def gather_contents(workspace: Path, config: Config) -> Contents:
    """Reads what the stages left in a workspace."""
    checks = _if_there(lambda: read_checks(workspace / "export")) or {}
    return Contents(
        title=config.publish.name,
        config=config.model_dump(mode="json", exclude_defaults=True),
        sample=_json(workspace / "sample" / "manifest.json"),
        faults=_faults(workspace),
        record=_json(workspace / "train" / "record.json"),
        curves=inlined(workspace / "train" / "curves.png"),
        measured=_if_there(lambda: read_measured(workspace / "evaluate")) or [],
        served={one.variant: one for one in _if_there(lambda: read_measured(workspace / "verify")) or []},
        checks={variant: asdict(check) for variant, check in checks.items()},
        pictures=_pictures(workspace / "evaluate" / "pictures"),
        comparison=_json(workspace / "compare" / "results.json"),
        comparison_picture=inlined(workspace / "compare" / "compare.png"),
        examples=_examples(workspace / "look"),
    )


def _faults(workspace: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for stage in ("sample", "coco"):
        report = _json(workspace / stage / "report.json")
        if report is not None:
            listed = report.get("faults", [])
            found[stage] = report | {"faults": listed[:_FAULTS_SHOWN], "more": max(0, len(listed) - _FAULTS_SHOWN)}
    return found


def _pictures(folder: Path) -> list[Captioned]:
    return _captioned(sorted(folder.glob("*.png")), lambda path: path.stem.replace("-", ", "))


def _examples(folder: Path) -> list[Captioned]:
    splits = sorted(path for path in folder.glob("*") if path.is_dir())
    last = splits[:1] if not any(path.name == "test" for path in splits) else [folder / "test"]
    paths = [path for split in last for path in sorted(split.glob("*.jpg"))[:EXAMPLES]]
    return _captioned(paths, lambda path: f"{path.parent.name}, {path.stem}")


def _captioned(paths: list[Path], caption: Callable[[Path], str]) -> list[Captioned]:
    return [Captioned(caption(path), source) for path in paths if (source := inlined(path)) is not None]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _if_there(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except TrainingError:
        return None
