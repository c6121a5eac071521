"""The configuration of a model that suppresses another's answers."""

from __future__ import annotations

import ast

import pytest

from pasarela_server.config.model import ModelConfig
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.config.suppression import complete_suppression, read_suppression
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

SOURCE = "fast/config.pbtxt"
METADATA = {"task": "detect", "names": {0: 'a "b"'}, "end2end": False, "args": {"nms": None, "dynamic": True}}
RAW = ModelConfig(
    name="raw",
    backend="openvino",
    inputs=(TensorSpec("images", DataType.FP32, (-1, 3, 320, 320)),),
    outputs=(TensorSpec("output0", DataType.FP32, (-1, 5, 2100)),),
    max_batch_size=8,
    parameters={"metadata": repr(METADATA), "precision": "f32"},
)


def config(*parameters: str, extra: str = "") -> str:
    pairs = (parameter.split("=") for parameter in parameters)
    written = "".join(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n' for key, value in pairs)
    return f'backend: "nms" {extra}\n{written}'


def complete(text: str, raw: ModelConfig = RAW) -> ModelConfig:
    written = parse_model_config(text, SOURCE)
    return complete_suppression(written, "fast", read_suppression(written, "fast", SOURCE), raw, SOURCE).config


def test_tensors_and_batching_are_the_raw_models() -> None:
    completed = complete(config("model=raw"))
    assert (completed.name, completed.backend, completed.max_batch_size) == ("fast", "nms", 8)
    assert completed.inputs == RAW.inputs
    assert completed.outputs == (TensorSpec("output0", DataType.FP32, (-1, 300, 6)),)
    assert (completed.instance_count, completed.dynamic_batching) == (0, None)


def test_metadata_say_that_the_rows_are_finished() -> None:
    parameters = complete(config("model=raw")).parameters
    assert ast.literal_eval(parameters["metadata"]) == METADATA | {
        "end2end": True,
        "args": {"nms": False, "dynamic": True},
    }
    assert parameters["model"] == "raw"
    assert "precision" not in parameters


def test_a_fixed_batch_stays_fixed() -> None:
    raw = ModelConfig(
        name="raw", backend="x", inputs=(TensorSpec("images", DataType.FP32, (2, 3, 64, 64)),), outputs=()
    )
    completed = complete(config("model=raw", "max_detections=10"), raw)
    assert completed.outputs == (TensorSpec("output0", DataType.FP32, (2, 10, 6)),)
    assert "metadata" not in completed.parameters


def test_thresholds_are_those_of_validation_unless_written() -> None:
    read = read_suppression(parse_model_config(config("model=raw"), SOURCE), "fast", SOURCE)
    defaults = read.raw.defaults
    assert (defaults.confidence, defaults.iou, defaults.max_detections, read.every_label) == (0.001, 0.7, 300, False)
    text = config("model=raw", "model_version=2", "confidence=0.2", "iou=0.5", "max_detections=9", "every_label=true")
    read = read_suppression(parse_model_config(text, SOURCE), "fast", SOURCE)
    assert (read.raw.defaults.confidence, read.raw.defaults.iou, read.raw.defaults.max_detections) == (0.2, 0.5, 9)
    assert (read.raw.model, read.raw.model_version, read.every_label) == ("raw", 2, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(config(), "names the raw model whose answers it suppresses", id="no model"),
        pytest.param(config("model=fast"), "names the raw model whose answers it suppresses", id="itself"),
        pytest.param(config("model=raw", "conf=1"), "parameter 'conf' is unknown to a model of the backend", id="typo"),
        pytest.param(config("model=raw", "iou=2"), "'iou' is '2'; expected a number from 0 to 1", id="beyond"),
        pytest.param(config("model=raw", "max_detections=1001"), "from 1 to 1000", id="too many"),
        pytest.param(config("model=raw", "every_label=maybe"), "expected true or false", id="no switch"),
        pytest.param(config("model=raw", extra="max_batch_size: 4"), "'max_batch_size' has no meaning", id="raw's field"),
        pytest.param(config("model=raw", extra='name: "slow"'), "name is 'slow'", id="another name"),
        pytest.param(
            config("model=raw", extra='output { name: "output0" dims: [ 100, 6 ] }'), r"dims are \[100, 6\]", id="dims"
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(InvalidModel, match=f"^{SOURCE}: .*{says}"):
        complete(text)
