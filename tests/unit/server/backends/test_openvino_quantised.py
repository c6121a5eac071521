"""Quantised OpenVINO models are never compiled with a dimension that varies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.openvino_rows import is_quantised
from pasarela_server.errors import InvalidModel
from tests.tiny_models import write_openvino

METADATA = "task: detect\nstride: 32\nimgsz: [4, 6]\nnames: {0: vest}\nchannels: 3\n"
OPTIONS = BackendOptions(instances=1, threads=1, parameters={"precision": "f32"})


def quantised(folder: Path, shape: list[int], metadata: str | None = METADATA) -> Path:
    """y = x rounded to 1/255 between 0 and 1."""
    x = ops.parameter(ov.PartialShape(shape), np.float32, name="images")
    low, high = np.float32(0), np.float32(1)
    y = ops.fake_quantize(x, low, high, low, high, 256)
    y.output(0).set_names({"output0"})
    x.output(0).set_names({"images"})
    ov.save_model(ov.Model([y], [x], "quantised"), folder / "model.xml", compress_to_fp16=False)
    if metadata is not None:
        (folder / "metadata.yaml").write_text(metadata)
    return folder / "model.xml"


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize(
    ("shape", "metadata"),
    [
        ([-1, 3, 4, 6], METADATA),  # reason: what the pipeline exports
        ([-1, 3, 4, 6], None),  # reason: only the batch varies, so nothing need be told
        ([-1, 3, -1, -1], METADATA),  # reason: sizes vary, and the metadata say which was meant
    ],
)
def test_a_batch_goes_through_one_row_at_a_time(
    tmp_path: Path, shape: list[int], metadata: str | None, rows: int
) -> None:
    backend = load_backend("openvino", quantised(tmp_path, shape, metadata), OPTIONS)
    images = np.random.default_rng(rows).random((rows, 3, 4, 6), dtype=np.float32)
    answer = backend.session().infer({"images": images})["output0"]
    assert backend.spec.batched
    assert [tensor.shape for tensor in backend.spec.inputs] == [(-1, 3, 4, 6)]
    np.testing.assert_allclose(answer, np.round(images * 255) / 255, atol=1e-6)


def test_a_batch_goes_through_what_an_earlier_start_has_kept(tmp_path: Path) -> None:
    artefact = quantised(tmp_path, [-1, 3, -1, -1])
    images = np.random.default_rng(1).random((3, 3, 4, 6), dtype=np.float32)
    kept = replace(OPTIONS, cache_folder=tmp_path / "cache")
    backends = [load_backend("openvino", artefact, options) for options in (OPTIONS, kept, kept)]
    assert [backend.spec for backend in backends] == [backends[0].spec] * 3
    assert [backend.description for backend in backends] == [backends[0].description] * 3
    first, *others = (backend.session().infer({"images": images})["output0"] for backend in backends)
    assert all(np.array_equal(other, first) for other in others)


def test_answers_are_kept_when_the_next_request_comes(tmp_path: Path) -> None:
    session = load_backend("openvino", quantised(tmp_path, [-1, 3, 4, 6]), OPTIONS).session()
    first = session.infer({"images": np.zeros((1, 3, 4, 6), np.float32)})["output0"]
    session.infer({"images": np.ones((1, 3, 4, 6), np.float32)})
    assert first.max() == 0


def test_the_description_says_int8_and_what_the_rest_computes_in(tmp_path: Path) -> None:
    assert "int8 (f32 elsewhere)" in load_backend("openvino", quantised(tmp_path, [-1, 3, 4, 6]), OPTIONS).description


def test_a_static_model_is_compiled_as_it_is(tmp_path: Path) -> None:
    backend = load_backend("openvino", quantised(tmp_path, [2, 3, 4, 6]), OPTIONS)
    assert not backend.spec.batched
    assert backend.session().infer({"images": np.ones((2, 3, 4, 6), np.float32)})["output0"].shape == (2, 3, 4, 6)


@pytest.mark.parametrize(
    ("shape", "metadata"),
    [
        ([-1, 3, -1, -1], None),  # reason: nobody says how large an image is
        ([2, 3, -1, 6], None),  # reason: a fixed batch, and still a side that varies
        ([-1, 3, -1, 8], METADATA),  # reason: the metadata contradict the model
    ],
)
def test_sizes_that_nobody_knows_are_refused(tmp_path: Path, shape: list[int], metadata: str | None) -> None:
    with pytest.raises(InvalidModel, match="reshape it"):
        load_backend("openvino", quantised(tmp_path, shape, metadata), OPTIONS)


def test_the_text_of_a_model_says_what_its_operations_say(tmp_path: Path) -> None:
    write_openvino(tmp_path / "plain", 1)
    (tmp_path / "int8").mkdir()
    for file, expected in (
        (tmp_path / "plain" / "model.xml", False),  # reason: computes in floats
        (quantised(tmp_path / "int8", [-1, 3, 4, 6]), True),  # reason: as the pipeline exports it
    ):
        model = ov.Core().read_model(file)
        assert is_quantised(model, file) is expected
        assert is_quantised(model, Path("model.onnx")) is expected, "read from another format: the operations are asked"
