"""What orchestrators' probes ask: the standard health service, for the server and for each model."""

import pytest

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
