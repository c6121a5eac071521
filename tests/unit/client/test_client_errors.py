import grpc
import pytest

from pasarela_client import errors
from pasarela_client.errors import BY_STATUS, PasarelaError, from_status

S = grpc.StatusCode
URL = "127.0.0.1:8001"


def test_every_status_but_ok_is_in_the_table() -> None:
    assert set(S) - set(BY_STATUS) == {S.OK}


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (S.INVALID_ARGUMENT, "input 'image' is empty", errors.InvalidRequest),
        (S.NOT_FOUND, "there is no model 'x'", errors.ModelNotFound),
        (S.UNAVAILABLE, "model 'x' is loading", errors.ModelUnavailable),
        (S.UNAVAILABLE, "the queue of model 'x' holds 64 requests, its limit", errors.QueueFull),
        (S.RESOURCE_EXHAUSTED, "the queue of model 'x' is full", errors.QueueFull),
        (S.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", errors.InvalidRequest),
        (S.DEADLINE_EXCEEDED, "expired while queued", errors.DeadlineExpired),
        (S.CANCELLED, "Channel closed!", errors.RequestCancelled),
        (S.FAILED_PRECONDITION, "model.onnx is cut short", errors.InvalidModel),
        (S.UNIMPLEMENTED, "no statistics here", errors.Unsupported),
        (S.UNAUTHENTICATED, "who are you?", errors.AccessDenied),
        (S.INTERNAL, "the server failed", errors.ServerFailure),
        (S.UNKNOWN, "Exception calling application", errors.ServerFailure),
    ],
)
def test_kind_model_status_and_the_servers_words(
    status: grpc.StatusCode, message: str, kind: type[PasarelaError]
) -> None:
    error = from_status(status, message, url=URL, model="x")
    assert type(error) is kind
    assert (error.model, error.status) == ("x", status)
    assert message in error.message
    assert str(error) == error.message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused",
            "Connection refused",
        ),
        ("errors resolving a:1: [field:x error: lookup failed: Domain name not found]", "Domain name not found"),
        ("Socket closed", "Socket closed"),
        ("Connection reset by peer", "Connection reset by peer"),
        ("Cancelling all calls", "Cancelling all calls"),
        ("recvmsg:Connection reset by peer", "Connection reset by peer"),
        ("GOAWAY received", "GOAWAY received"),
    ],
)
def test_a_connection_that_is_not_there_is_told_apart_from_a_model_that_is_not(message: str, reason: str) -> None:
    error = from_status(S.UNAVAILABLE, message, url=URL)
    assert type(error) is errors.ServerUnreachable
    assert URL in error.message
    assert reason in error.message
    assert "last error" not in error.message


def test_a_missed_deadline_says_whom_it_waited_for() -> None:
    assert URL in from_status(S.DEADLINE_EXCEEDED, "Deadline Exceeded", url=URL).message


def test_a_status_without_words_still_says_something() -> None:
    assert str(from_status(S.INTERNAL, "", url=URL)) == "INTERNAL"


def test_the_tree_drawn_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__
    kinds: list[type[PasarelaError]] = [*PasarelaError.__subclasses__(), *errors.InvalidRequest.__subclasses__()]
    for kind in kinds:
        assert kind.__name__ in errors.__doc__
