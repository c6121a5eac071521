import pytest

from pasarela_training.publish.versions import next_version

NEW = {"m_onnx": {"model.onnx": "aa"}, "m_openvino": {"model.xml": "bb", "model.bin": "cc"}}
OTHER = {"m_onnx": {"model.onnx": "zz"}, "m_openvino": {"model.xml": "bb", "model.bin": "cc"}}


@pytest.mark.parametrize(
    ("existing", "version"),
    [
        ({}, 1),  # reason: an empty repository
        ({"m_onnx": {1: NEW["m_onnx"]}, "m_openvino": {1: NEW["m_openvino"]}}, 1),  # reason: the same again
        ({"m_onnx": {1: OTHER["m_onnx"]}, "m_openvino": {1: OTHER["m_openvino"]}}, 2),  # reason: one variant differs
        ({"m_onnx": {1: NEW["m_onnx"]}}, 1),  # reason: interrupted after the first variant
        ({"m_onnx": {1: OTHER["m_onnx"]}}, 2),  # reason: one variant was there before, another one
        ({"m_onnx": {3: OTHER["m_onnx"]}, "m_openvino": {7: {"model.xml": "zz"}}}, 8),  # reason: one number for all
        ({"m_onnx": {1: NEW["m_onnx"], 2: OTHER["m_onnx"]}}, 3),  # reason: an old version is not brought back to life
        ({"m_onnx": {1: {"model.onnx": "aa", "stray": "dd"}}}, 2),  # reason: a file more is not the same
        ({"someone_elses": {5: {"model.onnx": "aa"}}}, 1),  # reason: other models do not matter
    ],
)
def test_the_number_of_a_publication(existing: dict[str, dict[int, dict[str, str]]], version: int) -> None:
    assert next_version(existing, NEW) == version
