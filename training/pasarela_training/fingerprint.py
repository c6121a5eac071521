"""Fingerprints: short hashes that say whether an input or a recipe is still the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path


def fingerprint(value: object) -> str:
    """Hashes a value made of JSON types; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_fingerprint(folder: Path) -> str:
    """Hashes names, sizes and modification times below a folder, without reading any file."""
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            status = os.stat(os.path.join(parent, name))  # noqa: PTH116, PTH118 - hundreds of thousands of files
            relative = os.path.relpath(os.path.join(parent, name), folder)  # noqa: PTH118
            digest.update(f"{relative}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def stage_fingerprint(stage: str, version: int, recipe: Mapping[str, object], inputs: Mapping[str, str]) -> str:
    """The fingerprint of a stage: what it is told to do, and what it does it to.

    Args:
        stage: The stage's name.
        version: Raised when the same recipe begins to mean something else.
        recipe: The part of the configuration that decides the output.
        inputs: Fingerprints of what the stage reads, by name.
    """
    return fingerprint({"stage": stage, "version": version, "recipe": recipe, "inputs": dict(inputs)})
