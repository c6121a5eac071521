"""What is decided before an artefact is opened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.config.model import AllVersions, InstanceKind, Latest, Specific
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.config.plan import LoadPlan, choose_instances, plan_load, version_policy
from pasarela_server.errors import InvalidModel

ARTEFACTS = {"onnxruntime": "model.onnx", "openvino": "model.xml", "pytorch": "model.pt"}
SOURCE = "garments/config.pbtxt"


def plan(text: str, files: set[str] | None = None, cores: int = 4) -> LoadPlan:
    files = {"model.onnx"} if files is None else files
    return plan_load(parse_model_config(text, SOURCE), "garments", files, ARTEFACTS, cores, SOURCE)


@pytest.mark.parametrize(
    ("text", "files", "backend", "artefact"),
    [
        pytest.param("", {"model.onnx"}, "onnxruntime", "model.onnx", id="by its file"),
        pytest.param("", {"model.xml", "model.bin", "metadata.yaml"}, "openvino", "model.xml", id="other files beside it"),
        pytest.param("", {"model.pt"}, "pytorch", "model.pt", id="TorchScript"),
        pytest.param('backend: "openvino"', {"model.onnx", "model.xml"}, "openvino", "model.xml", id="as written"),
        pytest.param('platform: "onnxruntime_onnx"', {"model.onnx"}, "onnxruntime", "model.onnx", id="old name"),
        pytest.param('platform: "pytorch_libtorch"', set(), "pytorch", "model.pt", id="old name of the other"),
        pytest.param(
            'backend: "openvino" default_model_filename: "model.onnx"', {"model.onnx"}, "openvino", "model.onnx",
            id="a backend that reads another's file",
        ),
    ],
)  # fmt: skip
def test_backend_and_model_file(text: str, files: set[str], backend: str, artefact: str) -> None:
    planned = plan(text, files)

    assert (planned.backend, planned.artefact, planned.name) == (backend, artefact, "garments")


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        pytest.param('name: "other"', None, "name is 'other', but the model's folder is called 'garments'", id="name"),
        pytest.param("", set(), "holds no model file; put one of these there: model.onnx", id="nothing there"),
        pytest.param("", {"model.onnx", "model.pt"}, r"model\.onnx \(onnxruntime\) and model\.pt \(pytorch\)", id="two to choose from"),
        pytest.param('backend: "tensorrt"', None, "no backend 'tensorrt'; there are .*detection", id="unknown backend"),
        pytest.param('platform: "tensorrt_plan"', None, "platform 'tensorrt_plan' is not supported", id="platform"),
        pytest.param('backend: "openvino" platform: "onnxruntime_onnx"', None, "disagree", id="two that disagree"),
        pytest.param('default_model_filename: "../x.onnx"', None, "a file name, not a path", id="out of the repository"),
        pytest.param("instance_group { kind: KIND_CPU } instance_group { kind: KIND_GPU }", None,
                     "name KIND_CPU and KIND_GPU; Pasarela runs a model on one device", id="groups"),
        pytest.param("instance_group { gpus: [0, 1] }", None, r"on the GPUs \[0, 1\]", id="two GPUs"),
        pytest.param("instance_group { kind: KIND_CPU gpus: 0 }", None, r"gpus is \[0\].*KIND_CPU", id="a GPU for a CPU"),
        pytest.param("instance_group { count: -1 }", None, "must be positive", id="negative count"),
        pytest.param(
            "instance_group { kind: KIND_CPU } parameters { key: 'device' value { string_value: 'cuda:0' } }", None,
            "KIND_CPU and parameter device 'cuda:0' disagree", id="group and device",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_says_why(text: str, files: set[str] | None, expected: str) -> None:
    with pytest.raises(InvalidModel, match=expected):
        plan(text, files)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", InstanceKind.CPU, id="nothing is written: the CPU"),
        pytest.param("instance_group { kind: KIND_GPU }", InstanceKind.GPU, id="by the group"),
        pytest.param(
            "parameters { key: 'device' value { string_value: 'GPU' } }", InstanceKind.GPU, id="by the device"
        ),
        pytest.param(
            "parameters { key: 'device' value { string_value: 'cpu' } }", InstanceKind.CPU, id="by the device too"
        ),
    ],
)
def test_where_instances_run(text: str, expected: InstanceKind) -> None:
    assert plan(text).instance_kind is expected


@pytest.mark.parametrize(
    ("kind", "count", "cores", "instances", "threads"),
    [
        pytest.param(InstanceKind.CPU, 0, 4, 4, 1, id="one stream a core"),
        pytest.param(InstanceKind.CPU, 0, 1, 1, 1, id="one core"),
        pytest.param(InstanceKind.CPU, 1, 4, 1, 4, id="one instance may use every core"),
        pytest.param(InstanceKind.CPU, 3, 8, 3, 2, id="what is left over stays idle rather than oversubscribed"),
        pytest.param(InstanceKind.CPU, 8, 2, 8, 1, id="more instances than cores, as written"),
        pytest.param(InstanceKind.GPU, 0, 64, 2, 1, id="on a GPU one copies while the other computes"),
        pytest.param(InstanceKind.GPU, 1, 64, 1, 1, id="one on a GPU, as written"),
        pytest.param(InstanceKind.GPU, 2, 64, 2, 1, id="two on a GPU, as written"),
    ],
)
def test_instances_and_threads(kind: InstanceKind, count: int, cores: int, instances: int, threads: int) -> None:
    assert choose_instances(kind, count, cores)[:2] == (instances, threads)


@given(count=st.integers(0, 64), cores=st.integers(1, 256))
def test_instances_never_use_more_threads_than_there_are_cores_unless_they_are_more(count: int, cores: int) -> None:
    instances, threads, _ = choose_instances(InstanceKind.CPU, count, cores)

    assert instances * threads <= max(cores, instances)
    assert instances == (count or cores)


def test_the_plan_says_what_it_decided() -> None:
    assert plan("", cores=2).decisions == ("instances: 2 with 1 thread each, one a core",)
    assert plan("instance_group { count: 1 }", cores=2).decisions == ("instances: 1 with 2 threads each, as written",)


def test_a_file_that_was_found_under_its_own_name_is_told() -> None:
    assert plan("", {"best.onnx"}, cores=2).decisions[0] == "model file: best.onnx"


def test_names_and_parameters_reach_the_backend() -> None:
    planned = plan(
        'input { name: "a" } output { name: "b" } parameters { key: "precision" value { string_value: "f32" } }'
    )

    assert (planned.input_names, planned.output_names) == (("a",), ("b",))
    assert planned.parameters == {"precision": "f32"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Latest(1), id="nothing written"),
        pytest.param("version_policy { latest { } }", Latest(1), id="latest, as many as Triton takes"),
        pytest.param("version_policy { latest { num_versions: 3 } }", Latest(3), id="latest three"),
        pytest.param("version_policy { all { } }", AllVersions(), id="all"),
        pytest.param("version_policy { specific { versions: [ 3, 1 ] } }", Specific(frozenset({1, 3})), id="specific"),
    ],
)
def test_version_policy(text: str, expected: object) -> None:
    assert version_policy(parse_model_config(text, SOURCE), SOURCE) == expected


@pytest.mark.parametrize("versions", ["", "versions: 0", "versions: -1"])
def test_specific_versions_must_be_versions(versions: str) -> None:
    with pytest.raises(InvalidModel, match="needs versions"):
        version_policy(parse_model_config(f"version_policy {{ specific {{ {versions} }} }}", SOURCE), SOURCE)


@pytest.mark.parametrize(
    ("text", "kind", "count", "device"),
    [
        ("instance_group { count: 1 } instance_group { count: 2 }", InstanceKind.CPU, 3, ""),  # reason: added up
        ("instance_group { } instance_group { }", InstanceKind.CPU, 2, ""),  # reason: one each
        ("instance_group { kind: KIND_MODEL count: 2 }", InstanceKind.CPU, 2, ""),  # reason: the backend decides
        ("instance_group { gpus: 1 }", InstanceKind.GPU, 2, "cuda:1"),  # reason: a GPU by its number
        ("instance_group { kind: KIND_GPU }", InstanceKind.GPU, 2, "gpu"),  # reason: the first one
        ("parameters { key: 'device' value { string_value: 'cuda:2' } }", InstanceKind.GPU, 2, "cuda:2"),  # reason: as said
    ],
)  # fmt: skip
def test_instance_groups(text: str, kind: InstanceKind, count: int, device: str) -> None:
    found = plan(text)

    assert (found.instance_kind, found.instance_count, found.device) == (kind, count, device)


ACCELERATED = """
optimization { execution_accelerators { gpu_execution_accelerator [
  { name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } }
] } }
"""


def test_accelerators_reach_the_backend_and_want_a_gpu() -> None:
    planned = plan(ACCELERATED)
    assert planned.accelerators == {"tensorrt": {"precision_mode": "FP16"}}
    assert planned.instance_kind is InstanceKind.GPU
    assert plan(ACCELERATED + "instance_group { kind: KIND_CPU }").instance_kind is InstanceKind.CPU
    assert plan("").accelerators == {}


def test_only_onnxruntime_has_accelerators() -> None:
    with pytest.raises(InvalidModel, match="is for the backend onnxruntime, this model's is openvino"):
        plan(ACCELERATED, {"model.xml"})
    with pytest.raises(InvalidModel, match="named twice"):
        plan(ACCELERATED.replace("[", '[ { name: "tensorrt" },'))
