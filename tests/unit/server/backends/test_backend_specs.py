"""What differs between the three: names, fixed sizes, precision, devices, archives that say nothing."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from pasarela_server.backends import BackendOptions, load_backend
from pasarela_server.errors import BackendMissing, InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

Make = Callable[..., Path]
PLAIN = BackendOptions(instances=1, threads=1)


def options(**parameters: str) -> BackendOptions:
    return BackendOptions(instances=1, threads=1, parameters=parameters)


@pytest.mark.parametrize(("backend", "maker"), [("onnxruntime", "onnx_adder"), ("openvino", "openvino_adder")])
@pytest.mark.parametrize(("rows", "batched"), [("batch", True), (1, False), (2, False)])
def test_a_fixed_batch_is_not_batched(
    make: Make, tmp_path: Path, backend: str, maker: str, rows: int | str, batched: bool
) -> None:
    spec = load_backend(backend, make(maker, tmp_path, rows=rows), PLAIN).spec
    shape = (-1 if batched else rows, 4)
    assert spec.inputs == (TensorSpec("x", DataType.FP32, shape),)
    assert spec.outputs == (TensorSpec("y", DataType.FP32, shape),)
    assert spec.batched is batched
    assert "task" not in spec.metadata


@pytest.mark.parametrize("backend", ["openvino", "pytorch"])
def test_configured_names_are_given_to_tensors_that_have_none(make: Make, tmp_path: Path, backend: str) -> None:
    maker = {"openvino": "openvino_detector", "pytorch": "torchscript_detector"}[backend]
    named = BackendOptions(1, 1, input_names=("picture",), output_names=("anchors",))
    loaded = load_backend(backend, make(maker, tmp_path), named)
    assert [spec.name for spec in loaded.spec.inputs + loaded.spec.outputs] == ["picture", "anchors"]
    assert list(loaded.session().infer({"picture": np.zeros((1, 3, 64, 96), np.float32)})) == ["anchors"]


def test_names_of_the_artefact_win_over_configured_ones(make: Make, tmp_path: Path) -> None:
    named = BackendOptions(1, 1, input_names=("a",), output_names=("b",))
    spec = load_backend("openvino", make("openvino_adder", tmp_path), named).spec
    assert [tensor.name for tensor in spec.inputs + spec.outputs] == ["x", "y"]


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_openvino_computes_in_the_precision_asked_for_and_says_so(make: Make, tmp_path: Path, precision: str) -> None:
    backend = load_backend("openvino", make("openvino_detector", tmp_path), options(precision=precision))
    has_bf16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    really = precision if has_bf16 else "f32"
    assert f"CPU, {really}, 1 x 1" in backend.description


def test_an_unknown_precision_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="'precision' is 'int4'; expected one of f32, f16, bf16, default"):
        load_backend("openvino", make("openvino_adder", tmp_path), options(precision="int4"))


def test_openvino_weights_cut_in_half_are_refused(make: Make, tmp_path: Path) -> None:
    artefact = make("openvino_detector", tmp_path)
    weights = tmp_path / "model.bin"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(InvalidModel, match=r"model\.xml cannot be loaded: Incorrect weights in bin file"):
        load_backend("openvino", artefact, PLAIN)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"a: [", "no YAML", id="broken"),
        pytest.param(b"- a\n- b\n", "no keys and values", id="a list"),
        pytest.param(b"\xff\xfe\x00", "no YAML", id="binary"),
    ],
)
def test_openvino_metadata_that_is_none_is_refused(make: Make, tmp_path: Path, content: bytes, says: str) -> None:
    artefact = make("openvino_detector", tmp_path)
    (tmp_path / "metadata.yaml").write_bytes(content)
    with pytest.raises(InvalidModel, match=f"metadata.yaml .*{says}"):
        load_backend("openvino", artefact, PLAIN)


@pytest.mark.parametrize(("backend", "maker"), [("onnxruntime", "onnx_adder"), ("pytorch", "torchscript_detector")])
def test_an_unknown_device_is_refused(make: Make, tmp_path: Path, backend: str, maker: str) -> None:
    with pytest.raises(InvalidModel, match="'device' is 'tpu'; expected cpu, gpu, or cuda:N"):
        load_backend(backend, make(maker, tmp_path), options(device="tpu"))


def test_onnxruntime_without_cuda_says_what_to_install(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendMissing, match="pip install onnxruntime-gpu"):
        load_backend("onnxruntime", make("onnx_adder", tmp_path), options(device="cuda:0"))


def test_pytorch_without_cuda_refuses_a_cuda_device(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InvalidModel, match="CUDA device 1, and PyTorch sees no such device"):
        load_backend("pytorch", make("torchscript_detector", tmp_path), options(device="cuda:1"))


def test_a_checkpoint_is_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"model": Trap()}, tmp_path / "model.pt")
    with pytest.raises(InvalidModel, match=r"is a checkpoint.*yolo export model=.*format=torchscript"):
        load_backend("pytorch", tmp_path / "model.pt", PLAIN)
    torch.save({"model": Trap()}, tmp_path / "model.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(InvalidModel, match="no TorchScript archive; export it with: yolo export"):
        load_backend("pytorch", tmp_path / "model.pt", PLAIN)
    assert not (tmp_path / "sprung").exists()


def test_an_archive_cut_in_half_ends_early(make: Make, tmp_path: Path) -> None:
    artefact = make("torchscript_detector", tmp_path)
    artefact.write_bytes(artefact.read_bytes()[: artefact.stat().st_size // 2])
    with pytest.raises(InvalidModel, match="ends early"):
        load_backend("pytorch", artefact, PLAIN)


def test_an_archive_that_says_nothing_wants_its_shapes_configured(make: Make, tmp_path: Path) -> None:
    artefact = make("torchscript_adder", tmp_path)
    with pytest.raises(InvalidModel, match=r"parameter 'INPUT__0\.shape'"):
        load_backend("pytorch", artefact, PLAIN)
    spec = load_backend("pytorch", artefact, options(**{"INPUT__0.shape": "-1,4"})).spec
    assert spec.inputs == (TensorSpec("INPUT__0", DataType.FP32, (-1, 4)),)
    assert spec.outputs == (TensorSpec("OUTPUT__0", DataType.FP32, (-1, 4)),)
    assert spec.batched
    assert spec.metadata == {}


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"INPUT__0.shape": "four"}, id="letters"),
        pytest.param({"INPUT__0.shape": "-1,4", "INPUT__0.datatype": "FLOAT"}, id="a type by another name"),
    ],
)
def test_configured_shapes_that_are_none_are_refused(make: Make, tmp_path: Path, parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidModel, match="of input 'INPUT__0' is none"):
        load_backend("pytorch", make("torchscript_adder", tmp_path), options(**parameters))


class Several(torch.nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return a, {"sum": a.sum(1) + b.sum(1)}


def test_modules_of_several_tensors(save_module: Callable[..., Path], tmp_path: Path) -> None:
    artefact = save_module(Several(), tmp_path / "model.pt")
    configured = BackendOptions(
        1, 1, {"a.shape": "-1,2", "b.shape": "-1,-1", "b.datatype": "INT32"}, ("a", "b"), ("echo", "sum")
    )
    backend = load_backend("pytorch", artefact, configured)
    assert backend.spec.inputs == (
        TensorSpec("a", DataType.FP32, (-1, 2)),
        TensorSpec("b", DataType.INT32, (-1, -1)),
    )
    assert backend.spec.outputs == (
        TensorSpec("echo", DataType.FP32, (-1, 2)),
        TensorSpec("sum", DataType.FP32, (-1,)),
    )
    a, b = np.ones((1, 2), np.float32), np.ones((1, 3), np.int32)
    outputs = backend.session().infer({"b": b, "a": a})
    assert outputs["sum"].tolist() == [5]
    assert not np.shares_memory(outputs["echo"], a)


def test_a_broken_config_txt_is_refused(make: Make, tmp_path: Path) -> None:
    artefact = make("torchscript_detector", tmp_path)
    changed = tmp_path / "changed.pt"
    with zipfile.ZipFile(artefact) as source, zipfile.ZipFile(changed, "w") as target:
        for item in source.infolist():
            is_config = item.filename.endswith("extra/config.txt")
            target.writestr(item.filename, json.dumps([1])[:-1] if is_config else source.read(item))
    with pytest.raises(InvalidModel, match=r"config\.txt is no JSON"):
        load_backend("pytorch", changed, PLAIN)
