"""The page that lists every key of the configuration, made from the schema that checks it."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pasarela_training.config.section import Section
from pasarela_training.config.sections import Config
from pasarela_training.config.train import Phase

_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"), ("multiple_of", "a multiple of"))
_PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def config_reference() -> str:
    """The page in Markdown."""
    lines = [
        "# Configuration of a run",
        "",
        "Made by `make docs` from the schema that checks the file; do not edit. A key that is not here is refused,",
        "with the line where it stands. Relative paths are relative to the working directory.",
        "",
    ]
    for title, section in sections():
        lines += [f"## {title or 'The file'}", "", *_paragraph(section), "| key | values | default | meaning |"]
        lines += ["|---|---|---|---|", *(_row(key, field) for key, field in section.model_fields.items()), ""]
    return "\n".join(lines)


def sections() -> list[tuple[str, type[Section]]]:
    """Every section with the place where it stands, in the order of the file."""
    found: list[tuple[str, type[Section]]] = []

    def walk(title: str, section: type[Section]) -> None:
        found.append((title, section))
        for key, field in section.model_fields.items():
            below = _section_in(field.annotation)
            if below is not None and below is not Phase:
                walk(f"{title}.{key}" if title else key, below)

    walk("", Config)
    return found


def _paragraph(section: type[Section]) -> list[str]:
    text = " ".join((section.__doc__ or "").split())
    return [text, ""] if text else []


def _row(key: str, field: FieldInfo) -> str:
    below = _section_in(field.annotation)
    meaning = " ".join((field.description or "").split())
    if below is not None and not meaning:
        meaning = " ".join((below.__doc__ or "").split())
    cells = (f"`{key}`", _values(field), _default(field), meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(field: FieldInfo) -> str:
    bounds = _bounds(field.metadata)
    return ", ".join(part for part in (_kind(field.annotation), bounds) if part)


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        limits = [item for entry in metadata for item in getattr(entry, "metadata", [entry])]
        return ", ".join(part for part in (_kind(inner), _bounds(limits)) if part)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (Union, UnionType):
        return " or ".join(_kind(part) for part in get_args(annotation) if part is not NoneType)
    if origin is tuple:
        parts = [part for part in get_args(annotation) if part is not Ellipsis]
        listed = list(dict.fromkeys(_kind(part) for part in parts))
        return f"list of {' and '.join(listed)}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "keys below it"
    return _PLAIN.get(annotation, "path")


def _bounds(metadata: list[Any]) -> str:
    found = [
        f"{sign} {value:g}"
        for entry in metadata
        for name, sign in _BOUNDS
        if isinstance(value := getattr(entry, name, None), int | float)
    ]
    return ", ".join(found)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or isinstance(field.default, Section):
        return "–"
    if isinstance(field.default, tuple):
        return f"`[{', '.join(map(str, field.default))}]`"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part)) is not None), None)
