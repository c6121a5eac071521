"""Statistics, log and trace settings as NVIDIA's clients read and change them."""

import json

import pytest

SYNC, AIO = "tritonclient.grpc", "tritonclient.grpc.aio"


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """The file in which the server writes what it traces."""
    return tmp_path_factory.mktemp("traced") / "trace.json"


@pytest.fixture(scope="module")
def settings_answers(light_repository, start_server, run_client, traced):
    """What each client got, from a server of their own: settings belong to the server."""
    with start_server(light_repository, "--trace-file", str(traced)) as server:
        answers = {client: run_client("tritonclient_settings", client, server.address) for client in (SYNC, AIO)}
        assert server.stop() == 0
    return answers


def of_both(feature):
    """The same test for both clients, each with its own cell."""
    return pytest.mark.parametrize(
        "client", [pytest.param(client, marks=pytest.mark.compatible(client, feature)) for client in (SYNC, AIO)]
    )


@pytest.fixture
def answers(settings_answers, client):
    return settings_answers[client]


def counts(statistics, of="success"):
    """A count of a model's statistics; JSON leaves zeros out."""
    return int(statistics["inference_stats"][of].get("count", 0))


@of_both("statistics")
def test_requests_and_rows_are_counted(answers):
    (before,), (after,) = answers["statistics"]["before"], answers["statistics"]["after"]
    assert int(after["inference_count"]) - int(before.get("inference_count", 0)) == 4, "rows"
    assert counts(after) - counts(before) == 2, "requests"
    assert counts(after, "fail") - counts(before, "fail") == 1
    assert {entry["batch_size"] for entry in after["batch_stats"]} >= {"1", "3"}


@of_both("statistics")
def test_each_step_took_some_time(answers):
    (after,) = answers["statistics"]["after"]
    for step in ("queue", "compute_input", "compute_infer", "compute_output"):
        assert int(after["inference_stats"][step]["ns"]) > 0, step
    assert int(after["last_inference"]) > 0


@of_both("statistics")
def test_no_name_means_all_models_and_an_unknown_one_is_refused(answers):
    assert {"garments", "garments_onnx"} <= {model["name"] for model in answers["statistics"]["all"]}
    assert answers["statistics"]["unknown"]["status"] == "StatusCode.INVALID_ARGUMENT"
    assert "statistics" in answers["extensions"]


@of_both("log settings")
def test_log_settings_are_told_and_changed(answers):
    log = answers["log"]
    assert log["before"]["log_info"] == {"bool_param": True}
    assert log["changed"]["log_verbose_level"] == {"uint32_param": 1}
    assert log["changed"]["log_info"] == {"bool_param": False}
    assert log["again"] == log["before"]


@of_both("log settings")
def test_an_unknown_log_setting_is_refused(answers):
    assert answers["log"]["unknown"]["status"] == "StatusCode.INVALID_ARGUMENT"
    assert "log_colour" in answers["log"]["unknown"]["message"]


@of_both("trace settings")
def test_trace_settings_of_one_model_leave_the_others(answers):
    trace = answers["trace"]
    assert trace["changed"]["trace_rate"] == {"value": ["1"]}
    assert trace["changed"]["trace_level"] == {"value": ["TIMESTAMPS"]}
    assert trace["others"] == trace["before"]
    assert trace["again"] == trace["before"]


@of_both("trace settings")
def test_what_is_to_be_traced_is_in_the_servers_file(answers, traced, client):
    written = json.loads(traced.read_text())
    assert f"traced by {client}" in {entry.get("request_id") for entry in written}
    assert {entry["model_name"] for entry in written if "model_name" in entry} == {"garments_onnx"}


@of_both("trace settings")
def test_an_unknown_trace_setting_is_refused(answers):
    assert answers["trace"]["unknown"]["status"] == "StatusCode.INVALID_ARGUMENT"
    assert "trace_colour" in answers["trace"]["unknown"]["message"]
