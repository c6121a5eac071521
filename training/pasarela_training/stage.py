"""Running one stage: skipped if its output is up to date, and never half there.

A stage writes into a folder beside its output, which takes the output's place, by renaming, when all is done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasarela_training.errors import TrainingError
from pasarela_training.fingerprint import stage_fingerprint

STAMP = ".pasarela-stamp.json"

Say = Callable[[str], None]
"""Receives lines for the person."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage makes, of what, and how."""

    name: str
    output: Path
    recipe: Mapping[str, object]
    """The part of the configuration that decides the output."""
    inputs: Mapping[str, str]
    """Fingerprints of what it reads."""
    make: Callable[[Path], str]
    """Fills an empty folder (or, if `resumable`, one that an interrupted run left) and says in one line what it did."""
    version: int = 1
    resumable: bool = False

    @property
    def fingerprint(self) -> str:
        """Changes whenever the output would."""
        return stage_fingerprint(self.name, self.version, self.recipe, self.inputs)

    @property
    def partial(self) -> Path:
        """Where the stage writes before it is done."""
        return self.output.with_name(f".{self.output.name}.partial")

    def up_to_date(self) -> bool:
        """True if the output was made by this recipe from these inputs."""
        stamp = read_stamp(self.output)
        return stamp is not None and stamp["fingerprint"] == self.fingerprint


def read_stamp(output: Path) -> dict[str, Any] | None:
    """What a finished stage left in its output; None if no stage finished there."""
    try:
        stamp = json.loads((output / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and {"stage", "fingerprint", "summary"} <= stamp.keys() else None


def run_stage(stage: Stage, say: Say, *, anew: bool = False) -> str:
    """Brings a stage's output up to date.

    Args:
        stage: The stage.
        say: Receives one line for the person.
        anew: Make it even if it is up to date.

    Returns:
        The fingerprint of the output.

    Raises:
        TrainingError: The stage failed, or something that no stage made stands where the output belongs.
    """
    if stage.up_to_date() and not anew:
        stamp = read_stamp(stage.output)
        say(f"{stage.name}: up to date ({stamp['summary'] if stamp else ''})")
        return stage.fingerprint
    if _holds_something(stage.output) and read_stamp(stage.output) is None:
        raise TrainingError(
            f"{stage.name}: {stage.output} holds something that this tool did not make; "
            f"move it away or choose another folder in the configuration"
        )
    if not stage.resumable:
        shutil.rmtree(stage.partial, ignore_errors=True)
    stage.partial.mkdir(parents=True, exist_ok=True)
    summary = stage.make(stage.partial)
    stamp = {"stage": stage.name, "fingerprint": stage.fingerprint, "summary": summary}
    (stage.partial / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    replace_folder(stage.partial, stage.output)
    say(f"{stage.name}: {summary}")
    return stage.fingerprint


def replace_folder(new: Path, place: Path) -> None:
    """Puts a folder in place of another by renaming; at no time is a half-filled folder there."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _holds_something(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
