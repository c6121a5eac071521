"""Reading the configuration file, with errors that name file, line and key."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pasarela_training.config.section import Section
from pasarela_training.config.sections import Config
from pasarela_training.errors import ConfigError

Location = tuple[int | str, ...]


def load_config(path: Path) -> Config:
    """Reads and validates a configuration file.

    Raises:
        ConfigError: The file is missing, is no YAML, or says something that is not allowed; one line for each fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; give a configuration with --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Location, int] = _lines(root) if root is not None else {(): 1}
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    except _DuplicateKeyError as error:
        raise ConfigError(f"{path}:{error.line}: {error.key} stands here a second time; keep one of them") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: expected keys such as workspace and dataset, found {type(values).__name__}")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        faults = sorted(_fault(lines, details) for details in error.errors())
        raise ConfigError("\n".join(f"{path}:{line}: {message}" for line, message in faults)) from error


class _DuplicateKeyError(Exception):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key = key
        self.line = line


def _lines(node: yaml.Node, at: Location = ()) -> dict[Location, int]:
    """The line of every key and element, by where it stands."""
    found: dict[Location, int] = {at: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in found:
                raise _DuplicateKeyError(".".join(map(str, here)), key.start_mark.line + 1)
            found |= _lines(value, here)
            found[here] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found |= _lines(value, (*at, index))
    return found


def _fault(lines: dict[Location, int], details: ErrorDetails) -> tuple[int, str]:
    """The line that is at fault, and what to say of it."""
    known = tuple(details["loc"])
    while known not in lines:
        known = known[:-1]
    # What follows the last key of the file names a branch of a union, not a key.
    place = details["loc"] if details["type"] == "missing" else known
    key = ".".join(str(part) for part in place)
    if details["type"] == "value_error":
        # A fault between keys is told of a section; its message begins with the key that has to change.
        named = (*known, *_reason(details).split(maxsplit=1)[0].rstrip(":").split("."))
        return lines.get(named, lines[known]), f"{key}: {_reason(details)}" if key else _reason(details)
    return lines[known], f"{key}: {_reason(details)}" if key else _reason(details)


def _reason(details: ErrorDetails) -> str:
    match details["type"]:
        case "extra_forbidden":
            return f"is not a key here; the keys are {', '.join(_keys(details['loc'][:-1]))}"
        case "missing":
            return "is missing and has no default"
        case "model_type":
            found = "nothing" if details["input"] is None else repr(details["input"])
            return f"expected keys below it, found {found}; the keys are {', '.join(_keys(details['loc']))}"
        case "value_error":
            return details["msg"].removeprefix("Value error, ")
        case _:
            message = details["msg"]
            return f"{message[0].lower()}{message[1:]}, got {details['input']!r}"


def _keys(location: Location) -> list[str]:
    """The keys that the section at a location has."""
    section: type[Section] = Config
    for part in location:
        if isinstance(part, str):
            section = _section_of(section, part)
    return list(section.model_fields)


def _section_of(section: type[Section], key: str) -> type[Section]:
    pending = [section.model_fields[key].annotation] if key in section.model_fields else []
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
        pending.extend(getattr(kind, "__args__", ()))
    return section
