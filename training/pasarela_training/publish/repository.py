"""Writing into a model repository so that a server that watches it never sees half of anything."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile

from pasarela_training.fingerprint import file_sha256
from pasarela_training.publish.manifest import MANIFEST, read_manifest, text_sha256

BESIDE_ARTEFACT = frozenset({MANIFEST, f".{MANIFEST}.partial"})


def clear_leftovers(repository: Path) -> None:
    """Removes what a publisher that was killed left half done. Call it under the lock."""
    for folder in repository.glob(".*.partial"):
        shutil.rmtree(folder, ignore_errors=True)


def published_versions(model: Path) -> dict[int, dict[str, str]]:
    """The sums of every version of a model, as the files are now (not as a manifest says)."""
    if not model.is_dir():
        return {}
    return {
        int(folder.name): sums_of([path for path in sorted(folder.iterdir()) if path.name not in BESIDE_ARTEFACT])
        for folder in model.iterdir()
        if folder.is_dir() and folder.name.isdigit() and int(folder.name) > 0
    }


def sums_of(files: list[Path]) -> dict[str, str]:
    """SHA-256 by file name."""
    return {path.name: file_sha256(path) for path in files}


def put_version(
    repository: Path, model: str, version: int, files: list[Path], beside: Mapping[str, str], manifest: object
) -> None:
    """Adds a version to a model, which is made if it is not there.

    The files are copied to a hidden folder of the repository first; one renaming makes the version appear, complete.

    Args:
        repository: The model repository.
        model: Name of the model.
        version: Its number; must not exist.
        files: What the version consists of.
        beside: Text files of the model's folder, by name (`config.pbtxt`, …).
        manifest: Goes into the version as `manifest.json`.
    """
    staging = repository / f".{model}.{version}.partial"
    shutil.rmtree(staging, ignore_errors=True)
    folder = staging / str(version)
    folder.mkdir(parents=True)
    for path in files:
        copyfile(path, folder / path.name)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    _to_disk(folder)
    place = repository / model
    if place.exists():
        put_texts(place, beside)
        folder.rename(place / folder.name)
        staging.rmdir()
        _sync(place)
    else:
        put_texts(staging, beside)
        staging.rename(place)
        _sync(repository)


def note_config(version: Path, text: str) -> None:
    """Corrects in a published version's manifest what was written last as config.pbtxt.

    Args:
        version: The version's folder.
        text: The content of config.pbtxt.
    """
    manifest = read_manifest(version)
    if manifest and manifest.get("config_sha256") != text_sha256(text):
        content = json.dumps(manifest | {"config_sha256": text_sha256(text)}, indent=1) + "\n"
        put_texts(version, {MANIFEST: content})


def put_texts(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Writes text files, each at once, leaving alone those that are the same.

    Returns:
        The names of those that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        temporary = folder / f".{name}.partial"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        written.append(name)
    return written


def _to_disk(folder: Path) -> None:
    """A renaming must not reach the disk before the files that it makes visible."""
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
