import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from pasarela_client import errors
from pasarela_client.errors import BY_STATUS, PasarelaError, from_status
from pasarela_server import errors as served

S = grpc.StatusCode
URL = "127.0.0.1:8001"
FAILED = "failed to connect to all addresses; last error: UNKNOWN:"


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


@pytest.mark.parametrize("kind", sorted(errors.BY_KIND))
def test_what_the_server_calls_its_error_says_more_than_the_status(kind: str) -> None:
    error = from_status(S.UNAVAILABLE, "connection reset by queue", url=URL, kind=kind)
    assert type(error).__name__ == kind
    assert (error.status, error.message) == (S.UNAVAILABLE, "connection reset by queue"), (
        "its own words, its own status"
    )


def test_an_error_that_only_a_newer_server_knows_is_told_by_its_status() -> None:
    assert type(from_status(S.NOT_FOUND, "gone", url=URL, kind="GoneForGood")) is errors.ModelNotFound


NOT_FOR_THIS_CLIENT = {"FilesChanged", "RegionExists", "RegionNotFound", "RegionUnavailable"}


def test_the_tree_mirrors_the_servers() -> None:
    """Its errors have the same names here, and the same ancestors where these exist here."""
    for kind in _below(served.ServingError):
        if kind.__name__ in NOT_FOR_THIS_CLIENT:
            continue
        here = errors.BY_KIND[kind.__name__]
        parents = {parent.__name__ for parent in kind.__mro__} & set(errors.BY_KIND)
        assert parents <= {parent.__name__ for parent in here.__mro__}


def _below(kind: type[served.ServingError]) -> Iterator[type[served.ServingError]]:
    for child in kind.__subclasses__():
        if child.__module__ == served.__name__:
            yield child
            yield from _below(child)


def _every_kind(kind: type[PasarelaError] = PasarelaError) -> Iterator[type[PasarelaError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _every_kind(child)


@pytest.mark.parametrize("kind", list(_every_kind()))
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies_and_pickles_are_whole(kind: type[PasarelaError], again: Callable[[Any], Any]) -> None:
    error = again(kind("why", model="m", status=S.ABORTED, request_id="r"))
    assert type(error) is kind
    assert (str(error), error.message, error.model, error.status, error.request_id) == (
        "why",
        "why",
        "m",
        S.ABORTED,
        "r",
    )


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            f"{FAILED} ipv4:1: Tls handshake failed (X): SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED: self signed: OK",
            "nobody",
        ),
        (
            f"{FAILED} ipv4:1: Tls handshake failed (X): CERTIFICATE_VERIFY_FAILED: certificate has expired: OK",
            "expired",
        ),
        (f"{FAILED} Custom verification check failed: Hostname Verification Check failed.", "another name"),
        (f"{FAILED} ipv4:1: Tls handshake failed: SSL routines: WRONG_VERSION_NUMBER: OK", "does not speak TLS"),
        (f"{FAILED} ipv4:1: Tls handshake failed (X): something new", "something new"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_in_words(message: str, words: str) -> None:
    error = from_status(S.UNAVAILABLE, message, url=URL)
    assert type(error) is errors.CertificateRefused
    assert words in error.message
    assert URL in error.message


def test_a_missed_deadline_says_whom_it_waited_for() -> None:
    assert URL in from_status(S.DEADLINE_EXCEEDED, "Deadline Exceeded", url=URL).message


def test_a_status_without_words_still_says_something() -> None:
    assert str(from_status(S.INTERNAL, "", url=URL)) == "INTERNAL"


def test_the_tree_drawn_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__
    for kind in _every_kind():
        assert kind.__name__ in errors.__doc__
