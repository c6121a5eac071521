"""Detection models: which raw model they name, and what has no meaning for them."""

from __future__ import annotations

import math

import pytest

from pasarela_server.config.detection import DETECTION_OUTPUTS, IMAGE_INPUT, DetectionDefaults, complete_detection
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.config.proto import to_proto
from pasarela_server.errors import InvalidModel

SOURCE = "garments/config.pbtxt"


def text_of(extra: str = "", **parameters: str) -> str:
    written = " ".join(f'parameters {{ key: "{k}" value {{ string_value: "{v}" }} }}' for k, v in parameters.items())
    return f'backend: "detection" {written} {extra}'


def test_defaults_and_tensors() -> None:
    written = parse_model_config(text_of(model="raw"), SOURCE)

    completed, detection = complete_detection(written, "garments", SOURCE)

    assert (detection.model, detection.model_version, detection.defaults) == ("raw", None, DetectionDefaults())
    assert completed.config.inputs == (IMAGE_INPUT,)
    assert completed.config.outputs == DETECTION_OUTPUTS
    assert completed.config.max_batch_size == 0
    assert completed.decisions == ("detects with 'raw'",)


def test_parameters_are_read_as_what_they_are() -> None:
    written = parse_model_config(
        text_of(model="raw", model_version="3", confidence="0.4", iou="0.5", max_detections="7"), SOURCE
    )

    _, detection = complete_detection(written, "garments", SOURCE)

    assert (detection.model, detection.model_version) == ("raw", 3)
    assert detection.defaults == DetectionDefaults(0.4, 0.5, 7)
    assert detection.jpeg_margin is None
    assert detection.jpeg_device is None


@pytest.mark.parametrize(("text", "expected"), [("1.5", 1.5), ("inf", math.inf)])
def test_how_small_a_jpeg_is_decoded_can_be_written(text: str, expected: float) -> None:
    written = parse_model_config(text_of(model="raw", jpeg_margin=text), SOURCE)
    assert complete_detection(written, "garments", SOURCE)[1].jpeg_margin == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cpu", None),  # reason: what holds anyway
        ("gpu", 0),  # reason: the first one, as for a raw model's device
        ("cuda:1", 1),  # reason: one of several
    ],
)
def test_where_jpegs_are_decoded_can_be_written(text: str, expected: int | None) -> None:
    written = parse_model_config(text_of(model="raw", jpeg_device=text), SOURCE)
    assert complete_detection(written, "garments", SOURCE)[1].jpeg_device == expected


def test_clients_read_a_config_without_instances() -> None:
    completed, _ = complete_detection(parse_model_config(text_of(model="raw"), SOURCE), "garments", SOURCE)

    message = to_proto(completed.config)

    assert (message.backend, len(message.instance_group), list(message.input[0].dims)) == ("detection", 0, [1])
    assert [(output.name, list(output.dims)) for output in message.output] == [
        ("boxes", [-1, 4]), ("scores", [-1]), ("class_ids", [-1]), ("class_names", [-1]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(text_of(), "names the raw model that it runs", id="no model named"),
        pytest.param(text_of(model="garments"), "names the raw model that it runs", id="itself"),
        pytest.param(text_of(model="raw", confidance="0.5"), "'confidance' is unknown .* confidence, iou", id="typo"),
        pytest.param(text_of(model="raw", confidence="high"), "is 'high'; expected a number from 0 to 1", id="a word"),
        pytest.param(text_of(model="raw", confidence="nan"), "is 'nan'; expected a number from 0 to 1", id="no number"),
        pytest.param(text_of(model="raw", iou="1.5"), "is '1.5'; expected a number from 0 to 1", id="out of range"),
        pytest.param(text_of(model="raw", max_detections="2.5"), "a whole number of at least 1", id="not whole"),
        pytest.param(text_of(model="raw", jpeg_margin="0.5"), "'0.5'; expected a number of at least 1", id="enlarged"),
        pytest.param(text_of(model="raw", jpeg_device="tpu"), "'tpu'; expected cpu, gpu, or cuda:N", id="no device"),
        pytest.param(text_of(model="raw", model_version="0"), "a whole number of at least 1", id="no version"),
        pytest.param(text_of(model="raw", model_version="Stable"), "or a label of it", id="no label"),
        pytest.param(text_of("max_batch_size: 4", model="raw"), "'max_batch_size' has no meaning", id="batch"),
        pytest.param(text_of("dynamic_batching { }", model="raw"), "'dynamic_batching' has no", id="empty batching"),
        pytest.param(text_of("instance_group { count: 1 }", model="raw"), "'instance_group' has no", id="instances"),
        pytest.param(
            text_of('output { name: "boxes" label_filename: "x" }', model="raw"), "label_filename", id="labels"
        ),
        pytest.param(text_of('input { name: "picture" }', model="raw"), "'picture' is not in the model", id="input"),
        pytest.param(text_of('name: "other"', model="raw"), "name is 'other'", id="name"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, expected: str) -> None:
    with pytest.raises(InvalidModel, match=expected):
        complete_detection(parse_model_config(text, SOURCE), "garments", SOURCE)


def test_a_version_may_be_named_by_a_label() -> None:
    _, detection = complete_detection(
        parse_model_config(text_of(model="raw", model_version="stable"), SOURCE), "m", SOURCE
    )

    assert detection.model_version == "stable"
