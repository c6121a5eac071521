"""Reading a scenario file, with errors that name file, line, key, what was expected and what stands there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from loadtest.scenario.loads import Load
from loadtest.scenario.objectives import Objectives
from loadtest.scenario.requests import Requests
from loadtest.scenario.scenario import Scenario, ServerPart

SHIPPED: Final = Path(__file__).resolve().parent.parent / "scenarios"
"""The scenarios that come with the project."""

_Place = tuple[int | str, ...]
_TAGS: Final = ("kind", "user")
_ADAPTER: Final = TypeAdapter(Scenario)
_KINDS: Final = {_TAGS[0]: get_args(Load), _TAGS[1]: get_args(Requests)}


class ScenarioError(Exception):
    """The scenario cannot be run as it stands: one line for each fault."""


def scenario_names() -> list[str]:
    """The shipped scenarios, by name."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find_scenario(name: str | Path) -> Path:
    """The file of a scenario: a path, or the name of a shipped one.

    Raises:
        ScenarioError: There is none.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return path
    if str(name) in scenario_names():
        return SHIPPED / f"{name}.yaml"
    hint = _nearest(str(name), scenario_names())
    raise ScenarioError(
        f"{name}: there is no such scenario{hint}; give a file, or one of {', '.join(scenario_names())}"
    )


def load_scenario(name: str | Path, overrides: Sequence[str] = ()) -> tuple[Scenario, dict[str, Any]]:
    """Reads a scenario and checks all of it.

    Args:
        name: A path, or the name of a shipped scenario.
        overrides: `key.key=value` each; the value is YAML. They replace what the file says, or add to it.

    Returns:
        The scenario, and the document that it was made from, overrides included.

    Raises:
        ScenarioError: The file is missing, is no YAML, or says something that is not allowed.
    """
    path = find_scenario(name)
    document, lines = _read(path)
    for override in overrides:
        lines.update(_apply(document, override))
    return _validated(document, path, lines), document


def read_document(name: str | Path) -> dict[str, Any]:
    """What a scenario's file says, unchecked.

    Raises:
        ScenarioError: The file is missing, is no YAML, or holds no keys.
    """
    return _read(find_scenario(name))[0]


def _read(path: Path) -> tuple[dict[str, Any], dict[_Place, int | str]]:
    """The document in a file, and the line of each of its keys."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ScenarioError(f"{path}: there is no such file; --list shows the scenarios that are there") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[_Place, int | str] = dict(_lines(root)) if root is not None else {}
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScenarioError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ScenarioError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ScenarioError(f"{path}:1: expected keys such as title, requests and load, got {document!r}")
    return document, lines


def parse_scenario(document: Mapping[str, Any], name: str) -> Scenario:
    """The scenario in a document that was read elsewhere.

    Raises:
        ScenarioError: It says something that is not allowed.
    """
    return _validated(document, Path(name), {})


def _validated(document: Mapping[str, Any], path: Path, lines: Mapping[_Place, int | str]) -> Scenario:
    try:
        return _ADAPTER.validate_python(document)
    except ValidationError as error:
        faults = [_fault(details, document) for details in error.errors()]
        told = dict.fromkeys(_where(path, lines, place) + message for place, message in faults)
        raise ScenarioError("\n".join(told)) from error


def _where(path: Path, lines: Mapping[_Place, int | str], place: _Place) -> str:
    while place and place not in lines:
        place = place[:-1]
    line = lines.get(place, "")
    if isinstance(line, str) and line:
        return f"{line}: "
    return f"{path}:{line}: " if line else f"{path}: "


def _lines(node: yaml.Node, at: _Place = ()) -> Iterator[tuple[_Place, int]]:
    """The line of every key and element, by where it stands.

    Raises:
        yaml.MarkedYAMLError: A key stands twice.
    """
    yield at, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{'.'.join(map(str, (*at, name)))} stands here a second time; keep one of them",
                    problem_mark=key.start_mark,
                )
            seen.add(name)
            yield from _lines(value, (*at, name))
            yield (*at, name), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*at, index))


def _apply(document: dict[str, Any], override: str) -> dict[_Place, str]:
    """Sets one value; returns where it stands, for messages."""
    key, equals, text = override.partition("=")
    parts: list[int | str] = [int(part) if part.isdecimal() else part for part in key.strip().split(".")]
    source = f"--set {override}"
    if not equals or not all(str(part) for part in parts):
        raise ScenarioError(f"{source}: expected KEY=VALUE, such as load.rate=20 or requests.0.model=garments_int8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{source}: the value is not valid YAML") from error
    at: Any = document
    for part in parts[:-1]:
        at = _below(at, part, source)
    last = parts[-1]
    if isinstance(at, list) and isinstance(last, int) and last < len(at):
        at[last] = value
    elif isinstance(at, dict):
        at[str(last)] = value
    else:
        raise ScenarioError(f"{source}: there is no {last} to set")
    return {tuple(parts): source}


def _below(at: Any, part: int | str, source: str) -> Any:
    if isinstance(at, list) and isinstance(part, int) and part < len(at):
        return at[part]
    if isinstance(at, dict):
        below = at.setdefault(str(part), {})
        if isinstance(below, dict | list):
            return below
    raise ScenarioError(f"{source}: there is nothing below {part}")


def _fault(details: ErrorDetails, document: Mapping[str, Any]) -> tuple[_Place, str]:
    """Where something is wrong, and what to say of it."""
    place = _untagged(tuple(details["loc"]), document)
    reason, got = details["msg"].removeprefix("Value error, "), details["input"]
    match details["type"]:
        case "unexpected_keyword_argument":
            known = _keys(place[:-1], document)
            message = f"is not a key here{_nearest(str(place[-1]), known)}; the keys are {', '.join(known)}"
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            message = "is missing and has no default"
        case "union_tag_not_found":
            place = (*place, next(tag for tag in _TAGS if tag in reason))
            message = f"is missing; expected one of {', '.join(_tags(str(place[-1])))}"
        case "union_tag_invalid":
            tag = next(tag for tag in _TAGS if f"'{tag}'" in reason)
            place, got, known = (*place, tag), got.get(tag), _tags(tag)
            message = f"expected one of {', '.join(known)}, got {got!r}{_nearest(str(got), known)}"
        case "value_error" if not isinstance(got, str | int | float | list | None):
            # A fault between keys is told of a section; its message begins with the key that has to change.
            named, _, message = reason.partition(": ")
            place = (*place, *named.split("."))
        case "dataclass_type" | "model_attributes_type":
            message = f"expected keys below it, such as {_keys(place, document)[-1]}, got {got!r}"
        case _:
            message = f"expected {reason.removeprefix('Input should be ').removeprefix('expected ')}, got {got!r}"
    return place, f"{_dotted(place)}: {message}"


def _untagged(place: _Place, document: Mapping[str, Any]) -> _Place:
    """A place in the file: pydantic puts the tag of a section between its key and what is below it."""
    found: list[int | str] = []
    at: Any = document
    for part in place:
        if isinstance(at, dict):
            if part not in at and part in (at.get("kind"), at.get("user")):
                continue
            at = at.get(part)
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
        else:
            at = None
        found.append(part)
    return tuple(found)


def _keys(place: _Place, document: Mapping[str, Any]) -> list[str]:
    """The keys that the section at a place has."""
    match place:
        case ():
            section: Any = Scenario
        case ("objectives",):
            section = Objectives
        case ("server",):
            section = ServerPart
        case ("load",):
            section = _tagged("kind", document["load"])
        case ("requests", int(index)):
            section = _tagged("user", document["requests"][index])
        case _:
            return []
    return [
        (entry.alias if (entry := section.__pydantic_fields__[field.name]).alias else field.name) or ""
        for field in fields(section)
    ]


def _tagged(tag: str, content: Any) -> Any:
    wanted = content.get(tag) if isinstance(content, Mapping) else None
    return next((kind for kind in _KINDS[tag] if _tag_of(kind, tag) == wanted), _KINDS[tag][0])


def _tag_of(kind: Any, tag: str) -> str:
    (value,) = get_args(kind.__pydantic_fields__[tag].annotation)
    return str(value)


def _tags(tag: str) -> list[str]:
    return [_tag_of(kind, tag) for kind in _KINDS[tag]]


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _dotted(place: Sequence[int | str]) -> str:
    return ".".join(map(str, place))
