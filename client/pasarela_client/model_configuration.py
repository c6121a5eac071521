"""A model configuration as a person has it (a `config.pbtxt`, JSON, a mapping), as a server takes it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pasarela_client.errors import InvalidRequest

Configuration = str | Mapping[str, object]
"""The text of a `config.pbtxt` or of its JSON form, or that as a mapping."""


def encode_configuration(config: Configuration, *, model: str = "") -> str:
    """The configuration in JSON.

    JSON is only looked at far enough to know that it is an object: what it may hold, the server says. A
    `config.pbtxt` is read with the fields that this client knows.

    Raises:
        InvalidRequest: It is no configuration; the message says where.
    """
    if not isinstance(config, str):
        try:
            return json.dumps(config)
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"a configuration that is no JSON: {error}", model=model) from error
    text = config.strip()
    return _check_json(text, model) if text.startswith(("{", "[", '"')) else _from_pbtxt(text, model)


def _check_json(text: str, model: str) -> str:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"a model configuration that is no JSON: {error}", model=model) from error
    if not isinstance(content, dict):
        raise InvalidRequest(
            f"a model configuration in JSON is an object {{…}}, not a {type(content).__name__}", model=model
        )
    return text


def _from_pbtxt(text: str, model: str) -> str:
    from google.protobuf import json_format, text_format

    from pasarela_proto.model_config_pb2 import ModelConfig

    try:
        config = text_format.Parse(text, ModelConfig())
    except text_format.ParseError as error:
        raise InvalidRequest(f"neither JSON nor the text of a config.pbtxt: line {error}", model=model) from error
    return json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)
