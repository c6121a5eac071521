from __future__ import annotations

import grpc
import pytest

from pasarela_client import (
    AccessDenied,
    CertificateRefused,
    DeadlineExpired,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    QueueFull,
    ServerFailure,
    ServerStopping,
    ServerUnreachable,
)
from pasarela_client.health import encode_check, is_serving
from pasarela_client.streaming.counts import StreamCounts
from pasarela_client.streaming.outage import Outage, passes
from tests.unit.client.streaming.windows import Clock

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE

ENDS = [
    # error, whether it may pass
    (ServerUnreachable("Socket closed", status=UNAVAILABLE), True),  # reason: the server may come back
    (ServerStopping("stopping", status=UNAVAILABLE), True),  # reason: another one may start
    (ServerStopping("cancelled", status=grpc.StatusCode.CANCELLED), True),  # reason: gRPC's own way to stop a server
    (ModelUnavailable("loading", status=UNAVAILABLE), True),  # reason: it may have loaded soon
    (QueueFull("too many calls", status=grpc.StatusCode.RESOURCE_EXHAUSTED), True),  # reason: others will end
    (DeadlineExpired("silent"), True),  # reason: one process hangs, the next may not
    (CertificateRefused("expired", status=UNAVAILABLE), False),  # reason: no waiting makes a certificate good
    (AccessDenied("token", status=grpc.StatusCode.UNAUTHENTICATED), False),  # reason: it would say so again
    (ModelNotFound("no model", status=grpc.StatusCode.NOT_FOUND), False),
    (ServerFailure("a bug", status=grpc.StatusCode.INTERNAL), False),  # reason: trying again hides what is broken
]


@pytest.mark.parametrize(("error", "expected"), ENDS)
def test_what_may_be_over_soon(error: PasarelaError, expected: bool) -> None:
    assert passes(error) == expected


def test_tries_come_more_seldom_until_the_time_is_up() -> None:
    clock = Clock()
    outage = Outage(3.0, clock, lambda: 1.0)
    outage.answered()
    waits = []
    while (wait_s := outage.next_try_s()) is not None:
        waits.append(round(wait_s, 6))
        clock.now_s += wait_s
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.5], "the last one is cut to what is left"
    assert sum(waits) == pytest.approx(3.0)


def test_an_answer_ends_the_outage() -> None:
    clock = Clock()
    outage = Outage(1.0, clock, lambda: 1.0)
    outage.answered()
    for _ in range(50):
        assert outage.next_try_s() == pytest.approx(0.1)
        clock.now_s += 0.9
        outage.answered()


@pytest.mark.parametrize(
    ("reached", "reconnect_s"),
    [(False, 30.0), (True, 0.0)],
    ids=["reason: a server that was never there is no outage", "reason: the user wants no second try"],
)
def test_nothing_is_tried_again(reached: bool, reconnect_s: float) -> None:
    outage = Outage(reconnect_s, Clock(), lambda: 1.0)
    if reached:
        outage.answered()
    assert outage.next_try_s() is None


@pytest.mark.parametrize("name", ["", "garments", "ß" * 100, "m" * 20_000])
def test_the_health_messages_are_those_of_the_standard(name: str) -> None:
    from grpc_health.v1 import health_pb2 as health

    assert encode_check(name) == health.HealthCheckRequest(service=name).SerializeToString()
    for status in health.HealthCheckResponse.ServingStatus.values():
        answer = health.HealthCheckResponse(status=status).SerializeToString()
        assert is_serving(answer) == (status == health.HealthCheckResponse.SERVING)


def test_counts_tell_only_what_happened() -> None:
    assert str(StreamCounts()) == "0 of 0 done"
    counts = StreamCounts(pulled=9, sent=7, done=4, failed=1, dropped=1, lost=1, expired=1, resent=3, reconnects=1)
    assert counts.pending == 2
    assert str(counts) == "4 of 9 done, 1 failed, 1 dropped, 1 lost, 2 pending, 3 sent again, 1 reconnects"
