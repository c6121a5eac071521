"""Configurations as people have them, as servers take them; and what is none."""

import json
from pathlib import Path

import pytest

from pasarela_client.aio.control import _read_load
from pasarela_client.errors import InvalidRequest
from pasarela_client.model_configuration import Configuration, encode_configuration

PBTXT = 'name: "m"  # a comment\nmax_batch_size: 4\ninstance_group { count: 2 kind: KIND_CPU }\n'
SAME = {"name": "m", "max_batch_size": 4, "instance_group": [{"count": 2, "kind": "KIND_CPU"}]}


@pytest.mark.parametrize("config", [PBTXT, json.dumps(SAME), f"\n  {json.dumps(SAME)}\n", SAME])
def test_every_form_says_the_same(config: Configuration) -> None:
    assert json.loads(encode_configuration(config)) == SAME


def test_nothing_written_is_a_configuration() -> None:
    assert json.loads(encode_configuration("# all of it is completed\n")) == {}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param("max_batch_sise: 4", '1:1 : .*no field named "max_batch_sise"', id="a typo in a config.pbtxt"),
        pytest.param('name: "m"\nmax_batch_size: many', "2:17", id="a wrong value, with its place"),
        pytest.param('{"max_batch_size": 4', "no JSON", id="JSON that was cut short"),
        pytest.param("[1, 2]", "an object {…}, not a list", id="JSON, but no object"),
        pytest.param('"text"', "an object {…}, not a str", id="JSON of a text"),
        pytest.param({"a": {1, 2}}, "no JSON", id="a mapping that holds a set"),
    ],
)
def test_what_is_no_configuration(config: Configuration, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as raised:
        encode_configuration(config, model="m")
    assert raised.value.model == "m"


def test_a_request_to_load_holds_configuration_and_files(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text(PBTXT)
    (tmp_path / "best.onnx").write_bytes(b"\x01\x02")
    request = _read_load(
        "m", tmp_path / "config.pbtxt", {"1/model.onnx": tmp_path / "best.onnx", "labels.txt": b"a\nb\n"}
    )
    assert json.loads(request.parameters["config"].string_param) == SAME
    assert request.parameters["file:1/model.onnx"].bytes_param == b"\x01\x02"
    assert request.parameters["file:labels.txt"].bytes_param == b"a\nb\n"


def test_files_alone_bring_an_empty_configuration_which_servers_insist_on() -> None:
    assert _read_load("m", None, {"1/model.onnx": b"x"}).parameters["config"].string_param == "{}"
    assert not _read_load("m", None, {}).parameters


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.pbtxt", None, "cannot read the configuration .*missing.pbtxt: No such file"),
        ("picture.jpg", b"\xff\xd8\xff\xe0", "cannot read the configuration .*picture.jpg: it is no UTF-8 text"),
        ("notes.txt", b"Remember the milk.", "notes.txt is no model configuration: neither JSON nor"),
    ],
    ids=["missing", "a picture", "notes"],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidRequest, match=message):
        _read_load("m", tmp_path / name, {})


def test_a_file_to_send_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot read .*model.onnx: No such file"):
        _read_load("m", None, {"1/model.onnx": tmp_path / "model.onnx"})
