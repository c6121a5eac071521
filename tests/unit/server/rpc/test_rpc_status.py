"""The table of statuses, and what clients are told of errors."""

import logging
from collections.abc import Iterator

import grpc
import pytest

from pasarela_server import errors
from pasarela_server.rpc.status import MAX_MESSAGE_CHARS, FailureTable, status_codes


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


EXPECTED = {
    errors.InvalidRequest: "INVALID_ARGUMENT",
    errors.ModelNotFound: "NOT_FOUND",
    errors.NoVersionReady: "NOT_FOUND",
    errors.ModelUnavailable: "UNAVAILABLE",
    errors.BackendMissing: "UNAVAILABLE",
    errors.QueueFull: "UNAVAILABLE",
    errors.QueueTimeout: "UNAVAILABLE",
    errors.DeadlineExpired: "DEADLINE_EXCEEDED",
    errors.RequestCancelled: "CANCELLED",
    errors.ServerStopping: "UNAVAILABLE",
    errors.InvalidModel: "FAILED_PRECONDITION",
    errors.FilesChanged: "FAILED_PRECONDITION",
    errors.LoadFailed: "INTERNAL",
    errors.RegionExists: "ALREADY_EXISTS",
    errors.RegionNotFound: "NOT_FOUND",
    errors.RegionUnavailable: "INTERNAL",
    errors.Unsupported: "UNIMPLEMENTED",
    errors.BackendFailure: "INTERNAL",
    errors.OutOfMemory: "RESOURCE_EXHAUSTED",
    errors.ModelSuspended: "UNAVAILABLE",
}


@pytest.mark.parametrize("kind", sorted(set(subclasses(errors.ServingError)), key=str))
def test_every_serving_error_has_the_status_of_the_design(kind, caplog):
    failure = FailureTable().failure(kind("the model's own words"))

    assert kind in EXPECTED or kind.__module__ != errors.__name__
    assert failure.code.name == next(EXPECTED[parent] for parent in kind.__mro__ if parent in EXPECTED)
    assert failure.message == "the model's own words"
    known = next(parent.__name__ for parent in kind.__mro__ if parent.__module__ == errors.__name__)
    assert dict(failure.metadata) == {"pasarela-error": known}
    assert not caplog.records


def test_a_full_queue_may_be_told_as_exhausted():
    table = FailureTable(status_codes(queue_full=grpc.StatusCode.RESOURCE_EXHAUSTED))
    assert table.failure(errors.QueueFull("full")).code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_unknown_errors_are_logged_whole_and_told_as_nothing(caplog):
    with pytest.raises(KeyError) as caught:
        {}["/srv/secret/path"]
    failure = FailureTable().failure(caught.value, "r7")

    assert failure.code is grpc.StatusCode.INTERNAL
    assert "secret" not in failure.message
    assert not failure.metadata
    assert "r7" in failure.message
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "r7" in record.getMessage()
    assert "/srv/secret/path" in caplog.text
    assert "Traceback" in caplog.text


def test_messages_fit_into_trailing_metadata():
    assert len(FailureTable().failure(errors.InvalidRequest("x" * 10**6)).message) == MAX_MESSAGE_CHARS


def test_number_is_the_code_on_the_wire():
    assert FailureTable().failure(errors.InvalidRequest("x")).number == 3
