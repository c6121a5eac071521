"""Names for versions (`stable`, `canary`), in a file beside config.pbtxt, usable wherever a version is."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from pasarela_server.errors import InvalidModel
from pasarela_server.request import VERSION_LABEL

LABELS_FILE = "version_labels.json"
MOST_REMEMBERED = 20
"""Earlier versions of a label that the file keeps, for the way back."""

History = Mapping[str, tuple[int, ...]]
"""By label: the versions that it has named, the present one last."""


def read_history(folder: Path) -> History:
    """The labels of a model with their past; empty if it has no file of them.

    The file is a JSON object: label to version, or label to the versions that it has named, the present one last.

    Raises:
        InvalidModel: It is none.
    """
    file = folder / LABELS_FILE
    where = f"{folder.name}/{LABELS_FILE}"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidModel(f'{where}: it is no complete JSON text; write {{"stable": 1}}, for example') from error
    if not isinstance(content, dict):
        raise InvalidModel(f'{where}: expected an object of label and version, like {{"stable": 1}}')
    return {label: _read(where, label, value) for label, value in content.items()}


def present(history: History) -> dict[str, int]:
    """The version that each label names now."""
    return {label: versions[-1] for label, versions in history.items()}


def _read(where: str, label: str, value: object) -> tuple[int, ...]:
    if VERSION_LABEL.fullmatch(label) is None:
        raise InvalidModel(
            f"{where}: {label!r} is no label; expected lower-case letters, digits, - and _, a letter first, at most 32"
        )
    versions = value if isinstance(value, list) else [value]
    if not versions or not all(type(version) is int and version > 0 for version in versions):
        raise InvalidModel(f"{where}: label {label!r} names {value!r}; expected a version, a positive whole number")
    return tuple(versions)


def in_force(wanted: Mapping[str, int], before: Mapping[str, int], ready: Collection[int]) -> dict[str, int]:
    """What each label names for clients: it moves when the version that it moves to can answer, not before. Pure.

    Args:
        wanted: What the file says now.
        before: What was in force.
        ready: Versions that can answer.
    """
    return {
        label: before[label] if version not in ready and before.get(label) in ready else version
        for label, version in wanted.items()
    }


def move(history: History, label: str, version: int) -> History:
    """The history after a label was given to a version. Pure."""
    before = history.get(label, ())
    if before[-1:] == (version,):
        return history
    return {**history, label: (*before, version)[-MOST_REMEMBERED:]}


def step_back(history: History, label: str, without: Collection[int] = ()) -> History:
    """The history after a label went back to the version that it named before. Pure.

    Args:
        history: The labels.
        label: Which of them.
        without: Versions that it must not go back to.

    Raises:
        InvalidModel: There is no such label, or it never named another version.
    """
    if label not in history:
        known = ", ".join(map(repr, sorted(history))) or "none"
        raise InvalidModel(f"there is no label {label!r}; there are {known}")
    *before, now = history[label]
    usable = [version for version in before if version not in without and version != now]
    if not usable:
        raise InvalidModel(f"label {label!r} names version {now} and never named another one that it could go back to")
    return {**history, label: tuple(usable)}


def write_history(folder: Path, history: History) -> None:
    """Writes the labels of a model, all at once: whoever reads meanwhile finds the old ones or the new ones."""
    content = {label: versions[0] if len(versions) == 1 else list(versions) for label, versions in history.items()}
    beside = folder / f".{LABELS_FILE}.{os.getpid()}"
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(folder / LABELS_FILE)
    finally:
        beside.unlink(missing_ok=True)
