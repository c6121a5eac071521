"""Typos in config.pbtxt: where, what, and what was probably meant."""

from __future__ import annotations

import pytest

from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.errors import InvalidModel


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        pytest.param('name: "a"\nbackendd: "b"', 2, 1, "no field 'backendd'; did you mean 'backend'?", id="field"),
        pytest.param(
            "dynamic_batching {\n  preferred: 1 }", 2, 3, "did you mean 'preferred_batch_size'", id="nested field"
        ),
        pytest.param("version_policy { latest { n: 1 } }", 1, 27, "it knows num_versions", id="doubly nested type"),
        pytest.param(
            "input { data_type: TYPE_F32 }", 1, 20, "DataType has no value 'TYPE_F32'; did you mean", id="enum"
        ),
        pytest.param("instance_group { kind: KIND_CPUU }", 1, 24, "did you mean 'KIND_CPU'", id="nested enum"),
        pytest.param('max_batch_size: "a"', 1, 17, "Couldn't parse integer", id="wrong type"),
        pytest.param("max_batch_size: 99999999999", 1, 17, "out of range", id="too large a number"),
        pytest.param('name: "a"\n\nname: "b"', 3, 7, 'should not have multiple "name" fields', id="written twice"),
        pytest.param('name: "a', 1, 7, "missing ending quote", id="open string"),
        pytest.param("input [ {", 1, 9, "", id="open bracket"),
    ],
)
def test_a_typo_is_told_with_file_line_and_column(text: str, line: int, column: int, expected: str) -> None:
    with pytest.raises(InvalidModel) as raised:
        parse_model_config(text, "garments/config.pbtxt")

    message = str(raised.value)
    assert message.startswith(f"garments/config.pbtxt, line {line}, column {column}: ")
    assert expected in message


def test_what_is_written_is_read() -> None:
    config = parse_model_config('name: "a" # a comment\nmax_batch_size: 8 input [ { name: "x" dims: [ 3, -1 ] } ]', "a")

    assert (config.name, config.max_batch_size, list(config.input[0].dims)) == ("a", 8, [3, -1])
