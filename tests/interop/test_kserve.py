"""KServe's client works unchanged. Its dependencies do not fit beside the project's: `make peers` makes it an environment."""

import pytest

from tests.interop import peers

CLIENT = "KServe"


@pytest.fixture(scope="module")
def answers(server, run_client, image):
    """What the client got from the server, in one run."""
    return run_client("kserve_calls", server.address, image, python=peers.kserve_python())


@pytest.mark.compatible(CLIENT, "liveness and readiness")
def test_liveness_and_readiness(answers):
    assert answers["live"]
    assert answers["ready"]
    assert answers["models_ready"] == {"garments": True, "garments_onnx": True, "trousers": False}


@pytest.mark.compatible(CLIENT, "inference on raw tensors")
def test_tensors_as_bytes(answers):
    raw = answers["raw"]
    assert (raw["id"], raw["model"], raw["version"]) == ("k1", "garments_onnx", "1")
    assert raw["shapes"]["output0"][0] == 1


@pytest.mark.compatible(CLIENT, "inference on raw tensors")
def test_tensors_as_numbers(answers):
    assert answers["typed"]["sum"] == pytest.approx(answers["raw"]["sum"], rel=1e-4)


@pytest.mark.compatible(CLIENT, "messages above 4 MiB")
def test_eight_images_of_floats_in_one_message(answers):
    assert answers["large"]["shapes"]["output0"][0] == 8


@pytest.mark.compatible(CLIENT, "inference on an encoded image")
def test_an_image_through_the_detection_model(answers, sample_names):
    found = answers["image"]["shapes"]
    assert found["boxes"] == [found["scores"][0], 4]
    assert sample_names is None or found["scores"] == [len(sample_names)]


@pytest.mark.compatible(CLIENT, "request parameters")
def test_options_as_parameters(answers):
    assert answers["one"]["shapes"]["scores"][0] <= 1


@pytest.mark.compatible(CLIENT, "requested outputs")
def test_only_the_requested_output_comes_back(answers):
    assert list(answers["only"]["shapes"]) == ["scores"]


@pytest.mark.compatible(CLIENT, "many requests at once")
def test_each_of_many_requests_gets_its_own_answer(answers):
    assert answers["many"] == [f"k{number}" for number in range(10)]


@pytest.mark.compatible(CLIENT, "client timeout")
def test_the_clients_time_limit_ends_the_call(answers):
    assert answers["timeout"]["status"] == "DEADLINE_EXCEEDED"


@pytest.mark.compatible(CLIENT, "errors with status and message")
@pytest.mark.parametrize(
    ("request_with", "status", "named"),
    [
        pytest.param("unknown", "NOT_FOUND", "trousers", id="not a status that this client tries again"),
        pytest.param("wrong shape", "INVALID_ARGUMENT", "images", id="a size that the model was not exported for"),
    ],
)
def test_errors_arrive_with_status_and_message(answers, request_with, status, named):
    assert answers[request_with]["status"] == status
    assert named in answers[request_with]["message"]
