"""Ultralytics' own client detects on a served raw model as if the model were a local file."""

import ast

import grpc
import pytest

from pasarela_proto import inference_pb2, inference_pb2_grpc

pytestmark = pytest.mark.compatible("Ultralytics", "prediction")


@pytest.fixture(scope="module")
def prediction(server, run_client, image, sample_names):
    confidence = 0.25 if sample_names is not None else 0.0
    return run_client("ultralytics_predicts", f"grpc://{server.address}/garments_onnx", image, confidence)


@pytest.fixture(scope="module")
def class_names(server):
    """The names that the model's own metadata holds, by class id."""
    with grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        config = stub.ModelConfig(inference_pb2.ModelConfigRequest(name="garments_onnx")).config
    return ast.literal_eval(config.parameters["metadata"].string_value)["names"]


def test_names_are_the_models_names(prediction, class_names):
    assert {int(class_id): name for class_id, name in prediction["names"].items()} == class_names
    assert len(class_names) == 13


def test_boxes_lie_on_the_image(prediction):
    height, width = prediction["size"]
    assert prediction["boxes"]
    for left, top, right, bottom in prediction["boxes"]:
        assert 0 <= left <= right <= width
        assert 0 <= top <= bottom <= height


def test_the_garments_are_found(prediction, sample_names):
    assert set(prediction["found"]) <= set(prediction["names"].values())
    assert sample_names is None or sorted(prediction["found"]) == sample_names
