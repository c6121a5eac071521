"""Ultralytics' own client detects on a served raw model as if the model were a local file."""

import ast
import shutil

import cv2
import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2, inference_pb2_grpc

pytestmark = pytest.mark.compatible("Ultralytics", "prediction")

SHAPES = {
    "as it is": (1.0, 1.0),
    "landscape": (2.5, 0.6),
    "portrait": (0.5, 1.7),
    "smaller than the model's": (0.3, 0.3),
    "larger": (3.1, 3.3),
}
"""Factors on the sample's width and height."""


@pytest.fixture(scope="module")
def images(image, tmp_path_factory):
    """The sample in several shapes, as files of PNG, which keeps pixels."""
    folder = tmp_path_factory.mktemp("shapes")
    pixels = cv2.imread(str(image))
    paths = []
    for number, (x, y) in enumerate(SHAPES.values()):
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), cv2.resize(pixels, None, fx=x, fy=y))
    return paths


@pytest.fixture(scope="module")
def confidence(sample_names):
    return 0.25 if sample_names is not None else 0.0


@pytest.fixture(scope="module")
def predictions(server, run_client, images, confidence):
    return run_client("ultralytics_predicts", f"grpc://{server.address}/garments_onnx", confidence, *images)


@pytest.fixture(scope="module")
def class_names(server):
    """The names that the model's own metadata holds, by class id."""
    with grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        config = stub.ModelConfig(inference_pb2.ModelConfigRequest(name="garments_onnx")).config
    return ast.literal_eval(config.parameters["metadata"].string_value)["names"]


def test_names_are_the_models_names(predictions, class_names):
    assert {int(class_id): name for class_id, name in predictions[0]["names"].items()} == class_names
    assert len(class_names) == 13


def test_boxes_lie_on_the_image(predictions):
    assert predictions[0]["boxes"]
    for prediction in predictions:
        height, width = prediction["size"]
        for left, top, right, bottom in prediction["boxes"]:
            assert 0 <= left <= right <= width
            assert 0 <= top <= bottom <= height


def test_the_garments_are_found(predictions, sample_names):
    assert set(predictions[0]["found"]) <= set(predictions[0]["names"].values())
    assert sample_names is None or sorted(predictions[0]["found"]) == sample_names


def test_images_of_any_shape_get_what_the_file_would_give(
    predictions, run_client, repository, images, confidence, tmp_path
):
    file = shutil.copy(repository / "garments_onnx" / "1" / "model.onnx", tmp_path / "garments.onnx")
    locally = run_client("ultralytics_predicts", file, confidence, *images)
    for shape, served, local in zip(SHAPES, predictions, locally, strict=True):
        assert served["found"] == local["found"], shape
        # Both run ONNX Runtime, with other numbers of threads, which add in another order.
        np.testing.assert_allclose(served["boxes"], local["boxes"], atol=0.05, err_msg=shape)
        np.testing.assert_allclose(served["scores"], local["scores"], atol=1e-3, err_msg=shape)
