"""What NVIDIA's client can ask of one inference, besides the inference."""

import pytest

CLIENT = "tritonclient.grpc"


@pytest.fixture(scope="module")
def answers(server, run_client, image):
    """What the client got from the server, in one run."""
    return run_client("tritonclient_options", server.address, image)


@pytest.mark.compatible(CLIENT, "requested outputs")
def test_only_the_requested_outputs_come_back_in_their_order(answers):
    assert list(answers["outputs"]["shapes"]) == ["scores", "boxes"]


@pytest.mark.compatible(CLIENT, "request parameters")
def test_a_detection_model_takes_its_options_as_parameters(answers, sample_names):
    assert answers["parameters"]["one"] <= 1
    assert sample_names is None or (answers["parameters"]["all"], answers["parameters"]["one"]) == (
        len(sample_names),
        1,
    )


@pytest.mark.compatible(CLIENT, "request parameters")
def test_parameters_that_mean_nothing_here_are_let_through(answers):
    assert answers["parameters"]["custom"]["shapes"] == answers["plain"]["shapes"]


@pytest.mark.compatible(CLIENT, "request parameters")
def test_a_response_tells_where_its_time_went(answers):
    told = answers["timings"]
    assert 0 < told["decode_ns"] + told["infer_ns"] < told["total_ns"]
    assert (told["batch_size"], told["instance"] >= 0, bool(told["close_reason"])) == (1, True, True)


@pytest.mark.compatible(CLIENT, "many requests at once")
def test_each_request_sent_without_waiting_gets_its_own_answer(answers):
    assert sorted(answers["many"]) == sorted(f"r{number}" for number in range(20))


@pytest.mark.compatible(CLIENT, "compression")
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_read(answers, algorithm):
    assert answers["compressed"][algorithm]["sum"] == pytest.approx(answers["plain"]["sum"], rel=1e-4)


@pytest.mark.compatible(CLIENT, "messages above 4 MiB")
def test_eight_images_of_floats_in_one_message(answers):
    assert answers["large"]["shapes"]["output0"][0] == 8


@pytest.mark.compatible(CLIENT, "client timeout")
def test_the_clients_time_limit_ends_the_call(answers):
    assert answers["timeout"]["status"] == "StatusCode.DEADLINE_EXCEEDED"
    assert answers["after"]["shapes"] == answers["plain"]["shapes"], "the next request is served"


@pytest.mark.compatible(CLIENT, "cancellation")
def test_a_cancelled_request_disturbs_no_other(answers):
    assert answers["cancelled"]["cancelled"]["status"] == "StatusCode.CANCELLED"
    assert answers["cancelled"]["others"] == [answers["large"]["shapes"]] * 4


@pytest.mark.compatible(CLIENT, "errors with status and message")
@pytest.mark.parametrize(
    ("request_with", "status", "named"),
    [
        pytest.param("unknown model", "NOT_FOUND", "trousers", id="no such folder in the repository"),
        pytest.param("unknown version", "NOT_FOUND", "7", id="no such folder in the model"),
        pytest.param("version zero", "INVALID_ARGUMENT", "0", id="a version is a positive integer"),
        pytest.param("wrong shape", "INVALID_ARGUMENT", "images", id="a size that the model was not exported for"),
        pytest.param("unknown input", "INVALID_ARGUMENT", "pixels", id="a name that the model does not have"),
        pytest.param("unknown output", "INVALID_ARGUMENT", "trousers", id="a name that the model does not give"),
    ],
)
def test_wrong_requests_are_refused_with_what_was_wrong(answers, request_with, status, named):
    refusal = answers["refused"][request_with]
    assert refusal["status"] == f"StatusCode.{status}"
    assert named in refusal["message"]
