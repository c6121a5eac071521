"""Whoever runs models with NVIDIA's clients loads and unloads them here, too, where the server was started for that."""

import pytest

SYNC, AIO = "tritonclient.grpc", "tritonclient.grpc.aio"


@pytest.fixture(scope="module")
def repository_answers(light_repository, start_server, run_client):
    """What each client got, from a server of its own."""
    model = light_repository / "garments_onnx" / "1" / "model.onnx"
    flags = ("--model-control-mode", "explicit", "--load-model", "garments_onnx")
    found = {}
    for client in (SYNC, AIO):
        with start_server(light_repository, *flags) as server:
            found[client] = run_client("tritonclient_control", client, server.address, model)
            assert server.stop() == 0, "with models that clients sent"
    return found


def of_both(feature):
    """The same test for both clients, each with its own cell."""
    return pytest.mark.parametrize(
        "client", [pytest.param(client, marks=pytest.mark.compatible(client, feature)) for client in (SYNC, AIO)]
    )


@pytest.fixture
def answers(repository_answers, client):
    return repository_answers[client]


@of_both("load and unload")
def test_only_what_was_named_is_loaded_at_the_start(answers):
    assert answers["start"]["garments_onnx"][:2] == ["1", "READY"]
    assert answers["start"]["garments_openvino"][0] == "", "never loaded: a name without version"


@of_both("load and unload")
def test_a_loaded_model_answers(answers):
    assert (answers["loaded"]["before"], answers["loaded"]["after"]) == (False, True)
    assert answers["loaded"]["answer"]["model"] == "garments_openvino"
    assert answers["loaded"]["index"]["garments_openvino"][:2] == ["1", "READY"]


@of_both("load and unload")
def test_an_unloaded_model_does_not_answer_until_it_is_loaded_again(answers):
    unloaded = answers["unloaded"]
    assert not unloaded["ready"]
    assert unloaded["version"]["status"] == "StatusCode.UNAVAILABLE", "that version could be loaded"
    assert unloaded["latest"]["status"] == "StatusCode.NOT_FOUND", "no version is ready"
    assert unloaded["index"]["garments_openvino"][1:] == ["UNAVAILABLE", "unloaded"]
    assert unloaded["ready_again"]


@of_both("load and unload")
def test_unloading_with_dependents_leaves_the_others(answers):
    states = {name: state for name, (_, state, _) in answers["with_dependents"].items()}
    assert states["garments_openvino"] == "UNAVAILABLE"
    assert states["garments_onnx"] == "READY"


@of_both("load with another configuration")
def test_a_configuration_sent_along_holds_until_the_next_load(answers):
    assert answers["reconfigured"] == {"before": 8, "during": 2, "after": 8}


@of_both("load with files")
def test_a_model_that_the_repository_never_had(answers):
    sent = answers["with_files"]
    assert (sent["answer"]["model"], sent["answer"]["version"]) == ("sent", "5")
    assert sent["answer"]["shapes"] == answers["loaded"]["answer"]["shapes"]
    assert sent["index"][:2] == ["5", "READY"]
    assert sent["after"]["status"] == "StatusCode.NOT_FOUND"


@of_both("load and unload")
@pytest.mark.parametrize(
    ("call", "status", "named"),
    [
        pytest.param("missing", "INVALID_ARGUMENT", "trousers", id="a load of what the repository does not have"),
        pytest.param("no JSON", "INVALID_ARGUMENT", "garments_onnx", id="a configuration that cannot be read"),
        pytest.param("broken", "INTERNAL", "broken", id="a file that is no model"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_reason(answers, call, status, named):
    assert answers["refused"][call]["status"] == f"StatusCode.{status}"
    assert named in answers["refused"][call]["message"]
    assert answers["ready"], "what was loaded still answers"


@pytest.mark.compatible(SYNC, "load and unload without explicit control", "refused as Triton does")
@pytest.mark.parametrize("call", ["load_model", "unload_model"])
def test_without_explicit_control_both_are_refused(server, run_client, call):
    refused = run_client("tritonclient_one_call", server.address, call, "garments_onnx")
    assert refused["status"] == "StatusCode.UNAVAILABLE"
    assert "explicit" in refused["message"]
