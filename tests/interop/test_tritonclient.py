"""NVIDIA's client works unchanged on all models."""

import pytest

RAW_MODELS = ("garments_int8", "garments_onnx", "garments_openvino", "garments_pytorch")


@pytest.fixture(scope="module")
def answers(server, run_client, image):
    """What the client got from the server, in one run."""
    return run_client("tritonclient_calls", server.address, image)


def test_liveness_and_readiness(answers):
    assert answers["live"]
    assert answers["ready"]
    assert answers["models_ready"] == dict.fromkeys((*RAW_MODELS, "garments"), True) | {"trousers": False}


def test_server_metadata(answers):
    assert answers["server"]["name"] == "pasarela"
    assert "statistics" not in answers["server"]["extensions"]


def test_repository_index(answers):
    models = {model["name"]: model for model in answers["index"]["models"]}
    assert {"garments", *RAW_MODELS} <= models.keys()
    assert models["garments_onnx"]["version"] == "1"
    assert models["garments_onnx"]["state"] == "READY"


def test_model_config_carries_the_class_names(answers):
    assert answers["config"]["backend"] == "onnxruntime"
    assert "'names'" in answers["config"]["parameters"]["metadata"]["string_value"]


@pytest.mark.parametrize("name", RAW_MODELS)
def test_inference_on_raw_models(answers, name):
    answer = answers["raw"][name]
    assert (answer["id"], answer["model"], answer["version"]) == ("r7", name, "1")
    assert answer["finite"]
    assert answer["same_again"]
    assert answer["shape"][0] == 1
    assert len(answer["shape"]) == len(answer["metadata_shape"])
    fixed = [(size, said) for size, said in zip(answer["shape"], answer["metadata_shape"], strict=True) if said != -1]
    assert all(size == said for size, said in fixed)


def test_the_three_variants_have_one_output_shape(answers):
    assert len({tuple(answer["shape"]) for answer in answers["raw"].values()}) == 1


def test_jpeg_bytes_through_the_detection_model(answers, sample_names):
    found = answers["image"]
    count = len(found["scores"])
    assert found["boxes"] == [count, 4]
    assert len(found["class_ids"]) == len(found["class_names"]) == count
    assert sample_names is None or sorted(found["class_names"]) == sample_names


def test_errors_arrive_with_status_and_message(answers):
    assert answers["refusal"]["status"] == "StatusCode.NOT_FOUND"
    assert "trousers" in answers["refusal"]["message"]
