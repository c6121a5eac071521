"""NVIDIA's asyncio client works unchanged."""

import pytest

CLIENT = "tritonclient.grpc.aio"


@pytest.fixture(scope="module")
def answers(server, run_client, image):
    """What the client got from the server, in one run."""
    return run_client("tritonclient_aio", server.address, image)


@pytest.mark.compatible(CLIENT, "liveness and readiness")
def test_liveness_and_readiness(answers):
    assert answers["live"]
    assert answers["ready"]
    assert answers["models_ready"] == {"garments": True, "garments_onnx": True, "trousers": False}


@pytest.mark.compatible(CLIENT, "server metadata")
def test_server_metadata(answers):
    assert answers["server"]["name"] == "pasarela"


@pytest.mark.compatible(CLIENT, "model metadata")
def test_model_metadata(answers):
    assert answers["metadata"]["versions"] == ["1"]
    assert answers["metadata"]["inputs"][0]["shape"][0] == "-1", "the batch dimension is there, and free"


@pytest.mark.compatible(CLIENT, "model configuration")
def test_model_configuration(answers):
    assert answers["config"]["config"]["backend"] == "onnxruntime"


@pytest.mark.compatible(CLIENT, "repository index")
def test_repository_index(answers):
    assert {"garments", "garments_onnx"} <= {model["name"] for model in answers["index"]["models"]}


@pytest.mark.compatible(CLIENT, "inference on raw tensors")
def test_inference_on_raw_tensors(answers):
    raw = answers["raw"]
    assert (raw["id"], raw["model"], raw["version"]) == ("a1", "garments_onnx", "1")


@pytest.mark.compatible(CLIENT, "inference on an encoded image")
def test_inference_on_an_encoded_image(answers, sample_names):
    found = answers["image"]["shapes"]
    assert found["boxes"] == [found["scores"][0], 4]
    assert sample_names is None or found["scores"] == [len(sample_names)]


@pytest.mark.compatible(CLIENT, "requested outputs")
def test_only_the_requested_output_comes_back(answers):
    assert list(answers["only"]["shapes"]) == ["scores"]


@pytest.mark.compatible(CLIENT, "request parameters")
def test_options_as_parameters(answers):
    assert answers["one"]["shapes"]["scores"][0] <= 1


@pytest.mark.compatible(CLIENT, "many requests at once")
def test_each_of_many_requests_gets_its_own_answer(answers):
    assert answers["many"] == [f"r{number}" for number in range(20)]


@pytest.mark.compatible(CLIENT, "compression")
def test_compressed_requests_are_read(answers):
    assert answers["compressed"]["sum"] == pytest.approx(answers["raw"]["sum"], rel=1e-4)


@pytest.mark.compatible(CLIENT, "messages above 4 MiB")
def test_eight_images_of_floats_in_one_message(answers):
    assert answers["large"]["shapes"]["output0"][0] == 8


@pytest.mark.compatible(CLIENT, "client timeout")
def test_the_clients_time_limit_ends_the_call(answers):
    assert answers["timeout"]["status"] == "StatusCode.DEADLINE_EXCEEDED"


@pytest.mark.compatible(CLIENT, "cancellation")
def test_a_cancelled_task_disturbs_no_other(answers):
    assert answers["cancelled"]["cancelled"] == "CancelledError"
    assert answers["cancelled"]["others"] == [answers["large"]["shapes"]] * 3


@pytest.mark.compatible(CLIENT, "errors with status and message")
def test_errors_arrive_with_status_and_message(answers):
    assert answers["refused"]["status"] == "StatusCode.NOT_FOUND"
    assert "trousers" in answers["refused"]["message"]


@pytest.mark.compatible(CLIENT, "system shared memory")
def test_tensors_in_shared_memory(answers):
    shared = answers["shared"]
    assert (shared["registered"], shared["left"]) == (["aio"], [])
    assert shared["sum"] == pytest.approx(answers["raw"]["sum"], rel=1e-4)
