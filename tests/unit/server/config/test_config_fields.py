"""Every field of the schema is honoured or refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from pasarela_proto import model_config_pb2
from pasarela_server.config.fields import HONOURED, REFUSED, refuse_unsupported
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.errors import InvalidModel


def _paths(message: Descriptor | None, prefix: str = "") -> Iterator[str]:
    """The paths that the tables must know: as deep as the tables go."""
    assert message is not None
    for field in message.fields:
        path = prefix + field.name
        if path in HONOURED or path in REFUSED or field.type != FieldDescriptor.TYPE_MESSAGE:
            yield path
        else:
            yield from _paths(field.message_type, path + ".")


def test_each_field_of_the_schema_is_either_honoured_or_refused() -> None:
    in_schema = set(_paths(model_config_pb2.DESCRIPTOR.message_types_by_name["ModelConfig"]))

    assert in_schema - HONOURED.keys() - REFUSED.keys() == set()
    assert (HONOURED.keys() | REFUSED.keys()) - in_schema == set()
    assert HONOURED.keys() & REFUSED.keys() == set()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param("optimization { cuda { graphs: true } }", "optimization.cuda", id="a whole message"),
        pytest.param("optimization { graph { } }", "optimization.graph", id="a message, even if it is empty"),
        pytest.param("input { name: 'x' reshape { shape: [1] } }", "input.reshape", id="inside a repeated message"),
        pytest.param(
            "model_transaction_policy { decoupled: true }", "model_transaction_policy.decoupled", id="a scalar"
        ),
        pytest.param("metric_tags { key: 'a' value: 'b' }", "metric_tags", id="a map"),
        pytest.param("sequence_batching { }", "sequence_batching", id="choosing a scheduler is asking for it"),
        pytest.param("ensemble_scheduling { }", "ensemble_scheduling", id="so is an ensemble"),
        pytest.param(
            "instance_group { count: 1 rate_limiter { priority: 1 } }",
            "instance_group.rate_limiter",
            id="a message, beside a field that is honoured",
        ),
        pytest.param(
            "instance_group [ { count: 1 }, { passive: true } ]", "instance_group.passive", id="in the second"
        ),
    ],
)
def test_a_field_that_is_not_honoured_is_refused_by_name(text: str, path: str) -> None:
    with pytest.raises(InvalidModel, match=rf"^garments/config.pbtxt: field '{path}' is not supported by Pasarela"):
        parse_model_config(text, "garments/config.pbtxt")


@pytest.mark.parametrize("path", sorted(path for path in REFUSED if "." not in path))
def test_each_refused_field_is_refused(path: str) -> None:
    config = model_config_pb2.ModelConfig()
    value = getattr(config, path)
    if isinstance(value, str):
        setattr(config, path, "x")
    elif isinstance(value, Message):
        value.SetInParent()
    elif hasattr(value, "add"):
        value.add()
    else:
        value["a"] = "b"

    with pytest.raises(InvalidModel, match=path):
        refuse_unsupported(config, "x/config.pbtxt")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("model_transaction_policy { decoupled: false }", id="asks for what is done anyway"),
        pytest.param("response_cache { enable: false }", id="asks for nothing"),
        pytest.param("input { format: FORMAT_NONE }", id="says nothing"),
        pytest.param(
            "dynamic_batching { preserve_ordering: false priority_levels: 0 }", id="the defaults, written out"
        ),
        pytest.param("version_policy { all { } } dynamic_batching { }", id="empty messages that are honoured"),
    ],
)
def test_a_field_that_asks_for_nothing_passes(text: str) -> None:
    parse_model_config(text, "x/config.pbtxt")
