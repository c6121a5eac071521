"""The page that lists every key of scenario files, made from the schema that checks them."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from loadtest.scenario.loads import Load
from loadtest.scenario.objectives import Bound, Objectives
from loadtest.scenario.requests import Requests
from loadtest.scenario.scenario import Scenario, ServerPart
from loadtest.scenario.values import format_duration, parse_duration

_SIGNS: Final = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
_PLAIN: Final = {int: "whole number", float: "number", str: "text", bool: "true or false"}
_SHARES: Final = frozenset({"failed", "refused", "late_frames", "unsent"})


def scenario_reference() -> str:
    """The page in Markdown."""
    lines = [
        "# Scenario files of load tests",
        "",
        "Made by `make docs` from the schema that checks the files; do not edit. How to use them:",
        "[load-testing.md](load-testing.md). A key that is not here is refused, with the line where it stands and what",
        "was probably meant. Times are written as `45s`, `5m`, `1h30m` or `250ms`.",
        "",
    ]
    for title, section in _sections():
        text = " ".join((section.__doc__ or "").split())
        lines += [f"## {title}", "", text, "", "| key | values | default | meaning |", "|---|---|---|---|"]
        lines += [_row(name, field, _meaning(section, name)) for name, field in _fields(section)]
        lines.append("")
    return "\n".join(lines)


def _sections() -> Iterator[tuple[str, Any]]:
    yield "The file", Scenario
    for kind in get_args(Requests):
        yield f"`requests`, with `user: {_tag(kind, 'user')}`", kind
    for kind in get_args(Load):
        yield f"`load`, with `kind: {_tag(kind, 'kind')}`", kind
    yield "`objectives`", Objectives
    yield "`server`", ServerPart


def _tag(section: Any, name: str) -> str:
    return str(get_args(section.__pydantic_fields__[name].annotation)[0])


def _fields(section: Any) -> list[tuple[str, FieldInfo]]:
    """The keys, that first which tells kinds apart."""
    return sorted(section.__pydantic_fields__.items(), key=lambda item: item[0] not in {"kind", "user"})


def _meaning(section: Any, name: str) -> str:
    """What stands below a key, in the class that it comes from."""
    if name in {"kind", "user"}:
        return "Says what this section is."
    for origin in section.__mro__:
        known = getattr(origin, "__pydantic_fields__", {}).get(name)
        if known is not None and known.description:
            return " ".join(known.description.split())
    raise LookupError(f"{section.__name__}.{name} has no docstring")


def _row(name: str, field: FieldInfo, meaning: str) -> str:
    cells = (f"`{field.alias or name}`", _values(name, field), _default(field), meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(name: str, field: FieldInfo) -> str:
    if _is_bound(field.annotation):
        return "share, such as `1%`" if name in _SHARES else "number"
    bounds = _bounds(field.metadata, duration=_is_duration(field.metadata))
    kind = "time" if _is_duration(field.metadata) else _kind(field.annotation)
    return ", ".join(part for part in (kind, bounds) if part)


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *rest = get_args(annotation)
        limits = [item for entry in rest for item in getattr(entry, "metadata", [entry])]
        kind = "time" if _is_duration(limits) else _kind(inner)
        return ", ".join(part for part in (kind, _bounds(limits, duration=kind == "time")) if part)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return "keys below it" if hasattr(parts[0], "__pydantic_fields__") else " or ".join(map(_kind, parts))
    if origin is tuple:
        (inner,) = dict.fromkeys(part for part in get_args(annotation) if part is not Ellipsis)
        below = get_args(inner)[0] if get_origin(inner) is Annotated else inner
        entries = get_args(below) if get_origin(below) in (Union, UnionType) else ()
        return "list of entries" if entries else f"list, each {_kind(inner)}"
    if origin is dict:
        return "shapes by name"
    return "keys below it" if hasattr(annotation, "__pydantic_fields__") else _PLAIN[annotation]


def _is_bound(annotation: Any) -> bool:
    parts = get_args(annotation) or (annotation,)
    return Bound in parts or any(_is_bound(part) for part in parts if get_origin(part) is not None)


def _is_duration(metadata: list[Any]) -> bool:
    return any(getattr(entry, "func", None) is parse_duration for entry in metadata)


def _bounds(metadata: list[Any], *, duration: bool) -> str:
    limits = [item for entry in metadata for item in getattr(entry, "metadata", [entry])]
    shown = [
        f"{sign} {(format_duration(value) or '0s') if duration else _number(value)}"
        for entry in limits
        for name, sign in _SIGNS
        if isinstance(value := getattr(entry, name, None), int | float)
    ]
    return ", ".join(shown)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "`{}`" if field.default_factory else "required"
    if value is None or hasattr(value, "__pydantic_fields__"):
        return "–"
    if isinstance(value, Bound):
        return f"`{value}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[]`"
    if _is_duration(field.metadata) and isinstance(value, float):
        return f"`{format_duration(value) or '0s'}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
