"""NVIDIA's client works unchanged on all models."""

import pytest

CLIENT = "tritonclient.grpc"
RAW_MODELS = ("garments_int8", "garments_onnx", "garments_openvino", "garments_pytorch")


@pytest.fixture(scope="module")
def answers(server, run_client, image):
    """What the client got from the server, in one run."""
    return run_client("tritonclient_calls", server.address, image)


@pytest.mark.compatible(CLIENT, "liveness and readiness")
def test_liveness_and_readiness(answers):
    assert answers["live"]
    assert answers["ready"]
    assert answers["models_ready"] == dict.fromkeys((*RAW_MODELS, "garments"), True) | {"trousers": False}


@pytest.mark.compatible(CLIENT, "server metadata")
def test_server_metadata(answers):
    assert answers["server"]["name"] == "pasarela"
    assert "model_configuration" in answers["server"]["extensions"]


@pytest.mark.compatible(CLIENT, "repository index")
def test_repository_index(answers):
    models = {model["name"]: model for model in answers["index"]["models"]}
    assert {"garments", *RAW_MODELS} <= models.keys()
    assert models["garments_onnx"]["version"] == "1"
    assert models["garments_onnx"]["state"] == "READY"


@pytest.mark.compatible(CLIENT, "model metadata")
def test_model_metadata_as_json(answers):
    metadata = answers["metadata"]
    assert (metadata["name"], metadata["versions"]) == ("garments_onnx", ["1"])
    assert [(spec["name"], spec["datatype"], spec["shape"]) for spec in metadata["inputs"]] == [
        ("images", "FP32", ["-1", "3", "320", "320"])
    ]
    assert [spec["name"] for spec in metadata["outputs"]] == ["output0"]


@pytest.mark.compatible(CLIENT, "model configuration")
def test_model_config_carries_the_class_names(answers):
    assert answers["config"]["backend"] == "onnxruntime"
    assert "'names'" in answers["config"]["parameters"]["metadata"]["string_value"]


@pytest.mark.compatible(CLIENT, "inference on raw tensors")
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


@pytest.mark.compatible(CLIENT, "inference on raw tensors")
def test_all_variants_have_one_output_shape(answers):
    assert len({tuple(answer["shape"]) for answer in answers["raw"].values()}) == 1


@pytest.mark.compatible(CLIENT, "inference on an encoded image")
def test_jpeg_bytes_through_the_detection_model(answers, sample_names):
    found = answers["image"]
    count = len(found["scores"])
    assert found["boxes"] == [count, 4]
    assert len(found["class_ids"]) == len(found["class_names"]) == count
    assert sample_names is None or sorted(found["class_names"]) == sample_names


@pytest.mark.compatible(CLIENT, "errors with status and message")
def test_errors_arrive_with_status_and_message(answers):
    assert answers["refusal"]["status"] == "StatusCode.NOT_FOUND"
    assert "trousers" in answers["refusal"]["message"]
