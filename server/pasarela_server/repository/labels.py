"""Class names: from a file beside config.pbtxt, or from what an artefact says of itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path, PurePath

from pasarela_server.errors import InvalidModel


def read_labels(folder: Path, filename: str, source: str) -> tuple[str, ...]:
    """Reads the class names of a label file, one a line, by class id.

    Args:
        folder: The model's folder.
        filename: As `label_filename` names it.
        source: What messages call the configuration.

    Raises:
        InvalidModel: It is no plain file name, or there is no such file, or it is empty or no UTF-8 text.
    """
    if PurePath(filename).name != filename:
        raise InvalidModel(
            f"{source}: label_filename {filename!r} must be a file name in the model's folder, not a path"
        )
    file = folder / filename
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        raise InvalidModel(f"{source}: label_filename {filename!r} is no file in the model's folder; put it there")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidModel(
            f"{folder.name}/{filename}: byte {error.start} is no UTF-8; save it as UTF-8 text"
        ) from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InvalidModel(f"{folder.name}/{filename} is empty; write a class name a line")
    return tuple(line.strip() for line in lines)


def metadata_labels(metadata: str) -> tuple[str, ...]:
    """The class names in a model's parameter `metadata`, by class id; none if it has none for each id from 0 on."""
    try:
        literal: object = ast.literal_eval(metadata)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()
    names = literal.get("names") if isinstance(literal, Mapping) else None
    if isinstance(names, Mapping) and names.keys() == set(range(len(names))):
        return tuple(str(names[class_id]) for class_id in range(len(names)))
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()
