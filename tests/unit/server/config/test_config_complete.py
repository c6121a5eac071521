"""Completion: what is left out comes from the artefact, what is written is checked against it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.config.complete import Completed, complete
from pasarela_server.config.model import BatchingConfig, InstanceKind, ModelConfig, QueueConfig
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.config.plan import plan_load
from pasarela_server.config.proto import to_proto
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

SOURCE = "garments/config.pbtxt"
YOLO_METADATA = {
    "stride": 32,
    "names": {0: "it's", 1: 'a "skirt"'},
    "task": "detect",
    "batch": 1,
    "channels": 3,
    "imgsz": [320, 320],
    "args": {"dynamic": True, "nms": False, "batch": 1},
    "end2end": False,
    "license": "left out: no client asks for it",
}


@dataclass(frozen=True)
class Artefact:
    inputs: tuple[TensorSpec, ...] = (TensorSpec("images", DataType.FP32, (-1, 3, -1, -1)),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("output0", DataType.FP32, (-1, 17, -1)),)
    batched: bool = True
    metadata: Mapping[str, object] = field(default_factory=dict)


DYNAMIC = Artefact()
STATIC = Artefact(
    (TensorSpec("images", DataType.FP32, (1, 3, 320, 320)),),
    (TensorSpec("output0", DataType.FP32, (1, 17, 2100)),),
    False,
)
TWO_OUTPUTS = Artefact(
    outputs=(TensorSpec("boxes", DataType.FP32, (-1, 4)), TensorSpec("masks", DataType.BOOL, (-1, 8)))
)


def finish(text: str, artefact: Artefact = DYNAMIC) -> Completed:
    written = parse_model_config(text, SOURCE)
    plan = plan_load(written, "garments", {"model.onnx"}, {"onnxruntime": "model.onnx"}, 2, SOURCE)
    return complete(written, artefact, plan, SOURCE)


def config_of(text: str, artefact: Artefact = DYNAMIC) -> ModelConfig:
    return finish(text, artefact).config


BOTH_WRITTEN = 'input { name: "images" dims: [ 3, -1, -1 ] } output { name: "output0" dims: [ 17, -1 ] }'
BOTH_WHOLE = 'input { name: "images" dims: [ -1, 3, -1, -1 ] } output { name: "output0" dims: [ -1, 17, -1 ] }'


@pytest.mark.parametrize(
    ("text", "artefact", "rows", "why"),
    [
        pytest.param("", DYNAMIC, 4, "up to 4 rows, because the first dimension of every", id="Triton's default"),
        pytest.param(BOTH_WRITTEN, DYNAMIC, 4, "up to 4 rows, because", id="writing tensors does not switch batching off"),
        pytest.param("max_batch_size: 16", DYNAMIC, 16, "up to 16 rows, as written", id="as written"),
        pytest.param("max_batch_size: 1", DYNAMIC, 1, "up to 1 row, as written", id="rows of one"),
        pytest.param("", STATIC, 0, "no batching: the first dimension of 'images' is fixed at 1", id="a static batch"),
        pytest.param(BOTH_WHOLE, DYNAMIC, 0, "dims written for 'images' hold the first dimension", id="whole shapes"),
        pytest.param(
            "", Artefact(outputs=(TensorSpec("score", DataType.FP32, ()),), batched=False), 0, "'score' is a scalar",
            id="a scalar output",
        ),
        pytest.param("", Artefact(batched=False), 0, "the model file does not batch", id="the backend knows better"),
    ],
)  # fmt: skip
def test_whether_a_model_batches_and_why(text: str, artefact: Artefact, rows: int, why: str) -> None:
    completed = finish(text, artefact)

    assert completed.config.max_batch_size == rows
    assert why in completed.decisions[1]


@pytest.mark.parametrize(
    ("text", "merged", "why"),
    [
        pytest.param("", False, "requests are not merged, because on a CPU", id="a CPU: instances beat batches"),
        pytest.param("max_batch_size: 8", False, "requests are not merged", id="rows in one request are another thing"),
        pytest.param("dynamic_batching { }", True, "requests are merged, as written", id="as written"),
        pytest.param(
            "instance_group { kind: KIND_GPU }", True, "merged, because it is a GPU", id="a GPU: batches decide"
        ),
        pytest.param(
            "max_batch_size: 1 instance_group { kind: KIND_GPU }", False, "up to 1 row", id="nothing to merge"
        ),
    ],
)
def test_whether_requests_are_merged_and_why(text: str, merged: bool, why: str) -> None:
    completed = finish(text)

    assert (completed.config.dynamic_batching is not None) is merged
    assert why in completed.decisions[-1]


@pytest.mark.parametrize(
    ("text", "args", "rows"),
    [
        pytest.param("", {"nms": True, "batch": 1}, 1, id="for one row"),
        pytest.param("", {"nms": True, "batch": 3}, 3, id="for three"),
        pytest.param("", {"nms": True, "batch": 16}, 4, id="for more than the default"),
        pytest.param("", {"nms": True}, 1, id="it does not say"),
        pytest.param("", {"nms": False, "batch": 1}, 4, id="it does not suppress"),
        pytest.param("max_batch_size: 16", {"nms": True, "batch": 16}, 16, id="as many as written"),
    ],
)
def test_a_network_that_suppresses_gets_no_more_rows_than_it_suppresses(
    text: str, args: dict[str, object], rows: int
) -> None:
    assert config_of(text, replace(DYNAMIC, metadata=YOLO_METADATA | {"args": args})).max_batch_size == rows


def test_more_rows_than_a_network_suppresses_are_refused() -> None:
    artefact = replace(DYNAMIC, metadata=YOLO_METADATA | {"args": {"nms": True, "batch": 2}})
    with pytest.raises(InvalidModel, match="max_batch_size is 8, but the model was exported with nms=True for 2 rows"):
        config_of("max_batch_size: 8", artefact)


def test_what_is_written_about_batching_is_kept() -> None:
    config = config_of(
        "max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 8, 4 ] max_queue_delay_microseconds: 500 "
        "default_queue_policy { max_queue_size: 7 } }"
    )

    assert config.dynamic_batching == BatchingConfig((4, 8), 500, queue=QueueConfig(max_requests=7))


def test_tensors_come_from_the_artefact() -> None:
    config = config_of("")

    assert config.inputs == DYNAMIC.inputs
    assert config.outputs == DYNAMIC.outputs


def test_written_dims_narrow_what_varies() -> None:
    config = config_of('input { name: "images" data_type: TYPE_FP32 dims: [ 3, 640, 640 ] }')

    assert config.inputs == (TensorSpec("images", DataType.FP32, (-1, 3, 640, 640)),)
    assert config.outputs == DYNAMIC.outputs


def test_only_outputs_that_are_listed_are_offered() -> None:
    assert [spec.name for spec in config_of('output { name: "masks" }', TWO_OUTPUTS).outputs] == ["masks"]
    assert [spec.name for spec in config_of("", TWO_OUTPUTS).outputs] == ["boxes", "masks"]


@pytest.mark.parametrize(
    ("text", "artefact", "expected"),
    [
        pytest.param('input { name: "image" }', DYNAMIC, "input 'image' is not in the model file, which has 'images'", id="name"),
        pytest.param('output { name: "out" }', DYNAMIC, "output 'out' is not in the model file", id="name of an output"),
        pytest.param(
            'input { name: "images" data_type: TYPE_UINT8 }', DYNAMIC,
            "input 'images': data_type is TYPE_UINT8, but the model file has TYPE_FP32", id="type",
        ),
        pytest.param(
            'input { name: "images" dims: [ 4, -1, -1 ] }', DYNAMIC,
            r"input 'images': dims are \[4, -1, -1\], but the model file has \[3, -1, -1\], the batch", id="size",
        ),
        pytest.param(
            'input { name: "images" dims: [ 1, 3, -1, 320 ] }', STATIC, r"but the model file has \[1, 3, 320, 320\]$",
            id="varies in the configuration only",
        ),
        pytest.param('input { name: "images" dims: [ 3, 0, 8 ] }', DYNAMIC, r"dims are \[3, 0, 8\]", id="a size of none"),
        pytest.param('input { name: "images" dims: [ 3, 8 ] }', DYNAMIC, r"dims are \[3, 8\]", id="rank"),
        pytest.param('output { name: "output0" } output { name: "output0" }', DYNAMIC, "listed twice", id="twice"),
        pytest.param(
            'input { name: "images" dims: [ -1, 3, -1, -1 ] } output { name: "output0" dims: [ 17, -1 ] }', DYNAMIC,
            "the dims of 'images' hold the batch dimension and those of 'output0' leave it out", id="half and half",
        ),
        pytest.param("max_batch_size: -1", DYNAMIC, "must be 0 or more", id="negative batch"),
        pytest.param(
            "max_batch_size: 8", STATIC, "max_batch_size is 8, but the first dimension of 'images' is fixed at 1; export",
            id="a static batch asked to batch",
        ),
        pytest.param("dynamic_batching { }", STATIC, "dynamic_batching is written, but the model cannot batch", id="dynamic"),
        pytest.param(
            "max_batch_size: 4 dynamic_batching { preferred_batch_size: 8 }", DYNAMIC, "holds 8; expected 1 to 4",
            id="a preferred size that never comes",
        ),
        pytest.param(
            'output { name: "boxes" } input { name: "images" format: FORMAT_NHWC dims: [ 3, 8, 8, 8 ] }',
            Artefact(inputs=(TensorSpec("images", DataType.FP32, (-1, 3, 8, 8, 8)),), outputs=TWO_OUTPUTS.outputs),
            "format FORMAT_NHWC is that of an image with 3 dims, but it has 4", id="format",
        ),
    ],
)  # fmt: skip
def test_what_contradicts_the_artefact_is_refused(text: str, artefact: Artefact, expected: str) -> None:
    with pytest.raises(InvalidModel, match=f"^{SOURCE}: .*{expected}"):
        finish(text, artefact)


def test_metadata_reaches_clients_as_a_python_literal() -> None:
    metadata = config_of("", Artefact(metadata=YOLO_METADATA)).parameters["metadata"]

    assert ast.literal_eval(metadata) == {key: value for key, value in YOLO_METADATA.items() if key != "license"}


def test_written_metadata_wins() -> None:
    text = "parameters { key: 'metadata' value { string_value: '{}' } } parameters { key: 'a' value { string_value: 'b' } }"

    assert config_of(text, Artefact(metadata=YOLO_METADATA)).parameters == {"metadata": "{}", "a": "b"}


def test_an_artefact_without_metadata_adds_none() -> None:
    assert config_of("").parameters == {}


def test_labels_formats_and_instances_are_kept() -> None:
    config = config_of(
        'input { name: "images" format: FORMAT_NCHW } output { name: "output0" label_filename: "labels.txt" } '
        'instance_group { name: "left" count: 3 kind: KIND_CPU }'
    )

    assert config.input_formats == {"images": "FORMAT_NCHW"}
    assert config.label_filenames == {"output0": "labels.txt"}
    assert (config.instance_name, config.instance_count, config.instance_kind) == ("left", 3, InstanceKind.CPU)


@pytest.mark.parametrize(
    ("text", "artefact"),
    [
        pytest.param("", DYNAMIC, id="completed"),
        pytest.param("", STATIC, id="no batch dimension"),
        pytest.param("max_batch_size: 8 version_policy { specific { versions: [ 2, 5 ] } }", DYNAMIC, id="specific"),
        pytest.param("version_policy { all { } } instance_group { name: 'a' count: 5 }", DYNAMIC, id="all versions"),
        pytest.param("", Artefact(metadata=YOLO_METADATA), id="metadata with quotes in it"),
        pytest.param(
            "dynamic_batching { preferred_batch_size: 2 max_queue_delay_microseconds: 9 } "
            'input { name: "images" format: FORMAT_NCHW } output { name: "output0" label_filename: "labels.txt" }',
            DYNAMIC, id="everything written",
        ),
    ],
)  # fmt: skip
def test_what_clients_read_is_a_config_that_gives_the_same_model(text: str, artefact: Artefact) -> None:
    config = config_of(text, artefact)

    assert config_of(text_format.MessageToString(to_proto(config)), artefact).inputs == config.inputs
    again = config_of(text_format.MessageToString(to_proto(config)), artefact)
    assert to_proto(again) == to_proto(config)


def test_clients_read_dims_without_the_batch_dimension() -> None:
    batched, whole = to_proto(config_of("")), to_proto(config_of("", STATIC))

    assert (batched.max_batch_size, list(batched.input[0].dims), list(batched.output[0].dims)) == (
        4,
        [3, -1, -1],
        [17, -1],
    )
    assert (whole.max_batch_size, list(whole.input[0].dims)) == (0, [1, 3, 320, 320])
    assert batched.backend == "onnxruntime"
    assert batched.instance_group[0].count == 2


@given(dims=st.lists(st.integers(-2, 4), min_size=1, max_size=4))
def test_served_shapes_always_fit_the_artefact(dims: list[int]) -> None:
    text = f'input {{ name: "images" dims: {dims} }} output {{ name: "output0" }}'
    try:
        served = config_of(text).inputs[0].shape
    except InvalidModel:
        return
    assert all(fixed in (-1, size) for size, fixed in zip(served, DYNAMIC.inputs[0].shape, strict=True))
    assert all(size == -1 or size > 0 for size in served)
