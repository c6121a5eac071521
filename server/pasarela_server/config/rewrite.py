"""Changes the text of a config.pbtxt where it has to change, and leaves the rest as its author wrote it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from google.protobuf import text_format

from pasarela_server.config.pbtxt import WrittenConfig, parse_model_config
from pasarela_server.errors import InvalidModel

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\w.+-]+|\S""")
_CLOSES = {"{": "}", "<": ">", "[": "]"}
_MAP = "parameters"
_LONGEST_LINE = 100


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the outermost message: its name, and where its text begins and ends."""

    name: str
    start: int
    end: int


def rewrite(text: str, wanted: WrittenConfig, source: str) -> str:
    """The same text, changed so that it says what is wanted. Comments stay, except those inside a block that changes.

    Args:
        text: A config.pbtxt that can be parsed; may be empty.
        wanted: What it should say.
        source: What messages call it.

    Raises:
        InvalidModel: The text cannot be parsed, or cannot be changed so that it says exactly what is wanted.
    """
    now = parse_model_config(text, source)
    fields = list(_fields(text))
    edits: list[tuple[int, int, str]] = []
    added: list[str] = []
    for name in _changed(now, wanted):
        if name == _MAP:
            keys = _changed_keys(now, wanted)
            places = [field for field in fields if field.name == name and keys & _keys(text, field)]
            keys.update(*(_keys(text, field) for field in places))
            content = _written(wanted, name, keys)
        else:
            places = [field for field in fields if field.name == name]
            content = _written(wanted, name)
        if places and content:
            edits.append((places[0].start, places[0].end, content))
            places = places[1:]
        elif content:
            added.append(content)
        edits += [(*_whole_line(text, field), "") for field in places]
    for start, end, content in sorted(edits, reverse=True):
        text = text[:start] + content + text[end:]
    if added:
        text += ("\n" if text and not text.endswith("\n") else "") + "\n".join(added) + "\n"
    if parse_model_config(text, source) != wanted:
        raise InvalidModel(f"{source}: its text is written in a way that cannot be changed safely; edit it by hand")
    return text


def _changed(now: WrittenConfig, wanted: WrittenConfig) -> list[str]:
    names = {descriptor.name: None for config in (now, wanted) for descriptor, _ in config.ListFields()}
    return [name for name in names if _only(now, name) != _only(wanted, name)]


def _changed_keys(now: WrittenConfig, wanted: WrittenConfig) -> set[str]:
    keys = {*now.parameters, *wanted.parameters}
    return {
        key
        for key in keys
        if (key in now.parameters, key in wanted.parameters) != (True, True)
        or now.parameters[key] != wanted.parameters[key]
    }


def _only(config: WrittenConfig, name: str) -> WrittenConfig:
    """The same configuration with one field left."""
    only = WrittenConfig()
    only.CopyFrom(config)
    for descriptor, _ in config.ListFields():
        if descriptor.name != name:
            only.ClearField(descriptor.name)  # type: ignore[arg-type]  # a name out of the message itself
    return only


def _written(wanted: WrittenConfig, name: str, keys: Collection[str] = ()) -> str:
    """One field as text; of a map, the entries of these keys, one a line."""
    only = _only(wanted, name)
    if len(keys) > 1:
        return "\n".join(filter(None, (_written(wanted, name, {key}) for key in sorted(keys))))
    for key in list(only.parameters):
        if key not in keys:
            del only.parameters[key]
    short = text_format.MessageToString(only, as_one_line=True).strip()
    return short if len(short) <= _LONGEST_LINE else text_format.MessageToString(only).rstrip("\n")


def _keys(text: str, field: _Field) -> set[str]:
    entries = WrittenConfig()
    text_format.Parse(text[field.start : field.end], entries)
    return set(entries.parameters)


def _whole_line(text: str, field: _Field) -> tuple[int, int]:
    """From where to where to cut: with its line, if nothing else stands there."""
    start = text.rfind("\n", 0, field.start) + 1
    end = text.find("\n", field.end)
    end = len(text) if end < 0 else end + 1
    if text[start : field.start].strip() or text[field.end : end].strip():
        return field.start, field.end
    return start, end


def _fields(text: str) -> Iterator[_Field]:
    """The fields of the outermost message of a text that protobuf has parsed before."""
    tokens = [found for found in _TOKEN.finditer(text) if not found[0].startswith("#")]
    at = 0
    while at < len(tokens):
        first = at
        at += 1
        if tokens[at][0] == ":":
            at += 1
        at = _behind_block(tokens, at) if tokens[at][0] in _CLOSES else _behind_scalar(tokens, at)
        end = tokens[at - 1].end()
        if at < len(tokens) and tokens[at][0] in (",", ";"):
            end = tokens[at].end()
            at += 1
        yield _Field(tokens[first][0], tokens[first].start(), end)


def _behind_block(tokens: list[re.Match[str]], at: int) -> int:
    open_blocks = [_CLOSES[tokens[at][0]]]
    at += 1
    while open_blocks:
        token = tokens[at][0]
        if token == open_blocks[-1]:
            open_blocks.pop()
        elif token in _CLOSES:
            open_blocks.append(_CLOSES[token])
        at += 1
    return at


def _behind_scalar(tokens: list[re.Match[str]], at: int) -> int:
    if tokens[at][0] == "-":
        at += 1
    at += 1
    while at < len(tokens) and tokens[at][0][0] in "\"'":  # texts that stand side by side are one text
        at += 1
    return at
