"""The line of each request."""

import logging

import pytest

from pasarela_server.errors import QueueFull
from pasarela_server.observability.record import Caller, RequestRecord
from pasarela_server.observability.request_log import RequestLog
from pasarela_server.request import NO_TIMINGS, Timings

TIMINGS = Timings(
    receive_ns=100_000, queue_ns=2_000_000, infer_ns=9_500_000, total_ns=12_345_678, batch_size=4, close_reason="full",
    instance=1,
)  # fmt: skip


def record(request_id="r7", timings=TIMINGS, error=None):
    return RequestRecord("garments", 3, request_id, 0, 12_500_000, 1, timings, error)


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "pasarela_server.requests")
    return RequestLog(lambda kind: "UNAVAILABLE")


def test_an_answer_is_told_with_its_batch_and_its_time(log, caplog):
    log.request(record())
    (line,) = caplog.records
    assert line.getMessage() == (
        "request 'r7' of garments version 3: OK, 12.3 ms (queue 2.0, infer 9.5, batch of 4, full)"
    )
    assert line.fields == {
        "request_id": "r7",
        "model": "garments",
        "version": 3,
        "status": "OK",
        "error": "",
        "rows": 1,
        "batch_size": 4,
        "close_reason": "full",
        "instance": 1,
        "duration_ms": 12.346,
        "stages_ms": {"receive": 0.1, "queue": 2.0, "infer": 9.5},
    }


def test_a_failure_is_told_with_its_status_and_its_kind(log, caplog):
    log.request(record(timings=NO_TIMINGS, error=QueueFull))
    (line,) = caplog.records
    assert line.getMessage() == "request 'r7' of garments version 3: UNAVAILABLE, 12.5 ms (QueueFull)"
    assert (line.fields["status"], line.fields["error"], line.fields["stages_ms"]) == ("UNAVAILABLE", "QueueFull", {})


def test_a_request_that_travelled_in_no_batch_says_nothing_of_one(log, caplog):
    log.request(record(timings=Timings(total_ns=1_000_000)))
    assert caplog.records[0].getMessage().endswith(": OK, 1.0 ms")


def test_the_trace_of_its_caller_is_named(log, caplog):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    log.request(record()._replace(caller=Caller("s/M", f"00-{trace}-00f067aa0ba902b7-01")))
    assert caplog.records[0].fields["trace_id"] == trace


def test_without_verbosity_nothing_is_written(caplog):
    caplog.set_level(logging.INFO, "pasarela_server.requests")
    RequestLog(lambda kind: pytest.fail("nothing is to be made up for nobody")).request(record(error=QueueFull))
    assert caplog.records == []
