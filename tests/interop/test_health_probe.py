"""What orchestrators' probes ask: the standard health service, for the server and for each model."""

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

CLIENT = "grpc.health.v1"


@pytest.fixture(scope="module")
def answers(server, run_client):
    """(Check, Watch) by name of service."""
    return run_client("health_checks", server.address, "", "garments", "inference.GRPCInferenceService", "trousers")


@pytest.mark.compatible(CLIENT, "health service: Check")
@pytest.mark.parametrize(
    ("service", "status"),
    [
        pytest.param("", "SERVING", id="the server"),
        pytest.param("garments", "SERVING", id="a model"),
        pytest.param("inference.GRPCInferenceService", "SERVING", id="a service by its name"),
        pytest.param("trousers", "NOT_FOUND", id="the standard's answer for a name that nobody knows"),
    ],
)
def test_check(answers, service, status):
    assert answers[service][0] == status


@pytest.mark.compatible(CLIENT, "health service: Watch")
@pytest.mark.parametrize(
    ("service", "status"),
    [
        pytest.param("", "SERVING", id="the server"),
        pytest.param("garments", "SERVING", id="a model"),
        pytest.param("trousers", "SERVICE_UNKNOWN", id="it may become known: the standard does not end the call"),
    ],
)
def test_watch(answers, service, status):
    assert answers[service][1] == status


@pytest.mark.compatible(CLIENT, "health service: Watch")
def test_who_watches_a_model_is_told_when_it_goes_and_comes(light_repository, start_server, run_client):
    flags = ("--model-control-mode", "explicit", "--load-model", "garments_onnx")
    with start_server(light_repository, *flags) as server, grpc.insecure_channel(server.address) as channel:
        pushed = HealthStub(channel).Watch(HealthCheckRequest(service="garments_onnx"))
        assert next(pushed).status == HealthCheckResponse.SERVING
        for call, status in (("unload_model", "NOT_SERVING"), ("load_model", "SERVING")):
            assert run_client("tritonclient_one_call", server.address, call, "garments_onnx") == {}
            assert HealthCheckResponse.ServingStatus.Name(next(pushed).status) == status
        pushed.cancel()
