"""Names for versions (`stable`, `canary`), in a file beside config.pbtxt, usable wherever a version is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pasarela_server.errors import InvalidModel

LABELS_FILE = "version_labels.json"
LABEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
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
    if LABEL.fullmatch(label) is None:
        raise InvalidModel(
            f"{where}: {label!r} is no label; expected lower-case letters, digits, - and _, a letter first, at most 32"
        )
    versions = value if isinstance(value, list) else [value]
    if not versions or not all(type(version) is int and version > 0 for version in versions):
        raise InvalidModel(f"{where}: label {label!r} names {value!r}; expected a version, a positive whole number")
    return tuple(versions)
