"""What exporters wrote, in one form; and frameworks' errors in one line."""

from pathlib import Path

import pytest

from pasarela_server.backends.metadata import exported_precision, image_shape, normalise, parse_properties
from pasarela_server.backends.reasons import reason
from pasarela_server.tensor import DataType, TensorSpec

INPUT = [TensorSpec("images", DataType.FP32, (1,))]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        pytest.param("stride", "32", 32, id="a number"),
        pytest.param("imgsz", "[320, 320]", [320, 320], id="a list"),
        pytest.param("names", "{0: 'it\\'s', 1: \"b\"}", {0: "it's", 1: "b"}, id="names with quotes"),
        pytest.param("names", "['a', 'b']", {0: "a", 1: "b"}, id="names as a list"),
        pytest.param("end2end", "False", False, id="a truth value"),
        pytest.param("version", "8.4", "8.4", id="a version is no number"),
        pytest.param("author", "[someone]", "[someone]", id="free text stays text"),
        pytest.param("note", "__import__('os')", "__import__('os')", id="code is not run"),
        pytest.param("note", "[" * 5000, "[" * 5000, id="nested without end"),
        pytest.param("note", "", "", id="nothing"),
    ],
)
def test_properties_are_read_as_literals(key: str, text: str, value: object) -> None:
    assert parse_properties({key: text}) == {key: value}


def test_names_from_json_get_numbers_for_keys() -> None:
    assert normalise({"names": {"0": "a", "10": "b"}}) == {"names": {0: "a", 10: "b"}}


@pytest.mark.parametrize(
    ("metadata", "shape"),
    [
        pytest.param({"imgsz": [320, 640]}, (3, 320, 640), id="height before width"),
        pytest.param({"imgsz": 320}, (3, 320, 320), id="one number"),
        pytest.param({"imgsz": [320], "channels": 1}, (1, 320, 320), id="grey"),
        pytest.param({"imgsz": "320"}, None, id="text"),
        pytest.param({"imgsz": []}, None, id="empty"),
        pytest.param({"imgsz": [0, 0]}, None, id="zeros"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_image_shape(metadata: dict[str, object], shape: tuple[int, ...] | None) -> None:
    assert image_shape(metadata) == shape


@pytest.mark.parametrize(("quantize", "precision"), [(8, "INT8"), (16, "FP16"), (None, "FP32")])
def test_exported_precision(quantize: int | None, precision: str) -> None:
    assert exported_precision({"args": {"quantize": quantize}}, INPUT) == precision
    assert exported_precision({}, INPUT) == "FP32"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("boom", "boom", id="one line"),
        pytest.param("Exception from core.cpp:84:\nCheck failed\nWrong weights!\n\n", "Wrong weights!", id="the last"),
        pytest.param(
            "Load model from /srv/models/m/1/model.onnx failed", "Load model from model.onnx failed", id="path"
        ),
        pytest.param("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : parsing failed", "parsing failed", id="ONNX"),
        pytest.param("Traceback:\n  here\nRuntimeError: sizes differ", "sizes differ", id="TorchScript"),
        pytest.param(
            "n. Error: core/tensors.cc:592 Check no", "n. Error: Check no", id="a place in the framework's source"
        ),
        pytest.param("ratio 3/4 is wrong", "ratio 3/4 is wrong", id="a fraction is no path"),
        pytest.param("x" * 900, "x" * 239 + "…", id="too long"),
        pytest.param("", "ValueError", id="silent"),
        pytest.param("\n  --- \n", "ValueError", id="only rules"),
    ],
)
def test_reason_is_one_telling_line(text: str, line: str) -> None:
    assert reason(ValueError(text)) == line


def test_the_artefacts_folder_goes_whatever_its_name(tmp_path: Path) -> None:
    artefact = tmp_path / "a folder" / "model.xml"
    error = ValueError(f"cannot open {artefact} or {artefact.with_suffix('.bin')}")
    assert reason(error, artefact) == "cannot open model.xml or model.bin"
