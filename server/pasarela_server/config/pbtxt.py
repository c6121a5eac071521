"""Reads config.pbtxt with protobuf's own text format."""

from __future__ import annotations

import difflib
import re

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from pasarela_proto import model_config_pb2
from pasarela_server.config.fields import refuse_unsupported
from pasarela_server.errors import InvalidModel, InvalidRequest

WrittenConfig = model_config_pb2.ModelConfig
"""A configuration as it was written, with nothing filled in."""

_POSITION = re.compile(r"^\d+:\d+ : ")
_QUOTED_LINE = re.compile(r"^'.*?': (?=\S)")
_NO_FIELD = re.compile(r'Message type "inference\.([\w.]+)" has no field named "(\w+)"')
_NO_VALUE = re.compile(r'Enum type "inference\.([\w.]+)" has no value named (\w+)')


def parse_model_config(text: str, source: str) -> WrittenConfig:
    """Parses a configuration and refuses what Pasarela does not honour.

    Args:
        text: The content of a config.pbtxt.
        source: What messages call it: its path relative to the repository, like `garments/config.pbtxt`.

    Raises:
        InvalidModel: A typo, with source, line and column; or a field that is not supported, by name.
    """
    config = WrittenConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        line, column = error.GetLine(), error.GetColumn()
        where = f"{source}, line {line}, column {column}" if line else source
        raise InvalidModel(f"{where}: {_explain(str(error))}") from error
    refuse_unsupported(config, source)
    return config


def json_to_pbtxt(text: str, model: str) -> str:
    """The text of a config.pbtxt that says what a configuration in JSON does, as clients send it to load a model.

    Args:
        text: A ModelConfig in protobuf's JSON form; Triton's clients send the one that they got from ModelConfig.
        model: The model's name, for messages.

    Raises:
        InvalidRequest: It is no JSON, or none of a ModelConfig; the message says where.
    """
    config = WrittenConfig()
    try:
        json_format.Parse(text, config)
    except json_format.ParseError as error:
        raise InvalidRequest(
            f"model {model!r}: parameter 'config' is no model configuration in JSON: {error}"
        ) from error
    return text_format.MessageToString(config)


def _explain(message: str) -> str:
    """The parser's message without its position and with the nearest name that exists."""
    plain = _QUOTED_LINE.sub("", _POSITION.sub("", message)).rstrip(".")
    if found := _NO_FIELD.search(plain):
        descriptor = _descriptor(found[1])
        names = [field.name for field in descriptor.fields] if isinstance(descriptor, Descriptor) else []
        return f"{found[1]} has no field {found[2]!r}" + _nearest(found[2], names)
    if found := _NO_VALUE.search(plain):
        descriptor = _descriptor(found[1])
        names = [value.name for value in descriptor.values] if isinstance(descriptor, EnumDescriptor) else []
        return f"{found[1]} has no value {found[2]!r}" + _nearest(found[2], names)
    return plain


def _descriptor(name: str) -> Descriptor | EnumDescriptor | None:
    """The message or enum type of this name, outer types before a dot."""
    outer, *inner = name.split(".")
    file = model_config_pb2.DESCRIPTOR
    found: Descriptor | EnumDescriptor | None = file.message_types_by_name.get(outer)
    if found is None:
        found = file.enum_types_by_name.get(outer)
    for part in inner:
        if not isinstance(found, Descriptor):
            return None
        found = found.nested_types_by_name.get(part) or found.enum_types_by_name.get(part)
    return found


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(names)}"
