"""Measurements on disk: one JSON file for a model under the same conditions. Written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasarela_server.tuning.conditions import Conditions, fingerprint
from pasarela_server.tuning.journal import Sitting, sitting_from_json, sitting_to_json

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What a file holds."""

    conditions: Conditions
    sittings: tuple[Sitting, ...]
    outcome: Mapping[str, Any] | None = None
    """What came of it; None if the tuning was stopped before its end."""


def default_folder(cache: Path | None) -> Path:
    """Where measurements are kept unless another folder is named.

    Args:
        cache: The user's folder for what can be made again; None if there is none.
    """
    return (cache or Path(tempfile.gettempdir()) / "pasarela") / "tune"


def record_file(folder: Path, model: str, conditions: Conditions) -> Path:
    """The file of a model's measurements under these conditions."""
    return folder / f"tune-{model}-{fingerprint(conditions)}.json"


def write_record(file: Path, record: Record) -> None:
    """Puts a record where the file was, by renaming.

    Raises:
        OSError: It cannot be written.
    """
    content = {
        "format": _FORMAT,
        "fingerprint": fingerprint(record.conditions),
        "conditions": record.conditions,
        "outcome": record.outcome,
        "sittings": [sitting_to_json(sitting) for sitting in record.sittings],
    }
    replace_file(file, json.dumps(content) + "\n")


def read_record(file: Path) -> Record | None:
    """What a file holds; None if there is none, or it is none of this tool in this format.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            return None
        sittings = tuple(sitting_from_json(each) for each in content["sittings"])
        return Record(content["conditions"], sittings, content["outcome"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def other_records(folder: Path, model: str, but: Path) -> Sequence[Path]:
    """Files of the same model under other conditions, the newest first."""
    found = [file for file in folder.glob(f"tune-{model}-????????????.json") if file != but]
    return sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)


def replace_file(file: Path, text: str) -> None:
    """Writes a text beside a file, under a hidden name, and gives it the file's name and permissions.

    Nobody who reads the file ever finds half of it; if the process ends in between, the file is as it was.

    Raises:
        OSError: It cannot be written.
    """
    target = file.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as content:
            content.write(text)
            content.flush()
            os.fsync(content.fileno())
        if target.exists():
            shutil.copymode(target, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
