"""grpc.health.v1 over a socket: Check, and Watch that is pushed on change."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pasarela_server.rpc.health import health_states

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def health(served):
    served.stub = health_pb2_grpc.HealthStub(served.channel)
    return served


async def check(served, service):
    return (await served.stub.Check(health_pb2.HealthCheckRequest(service=service))).status


def watch(served, service):
    return served.stub.Watch(health_pb2.HealthCheckRequest(service=service))


async def test_nothing_serves_before_the_first_publication(health):
    assert await check(health, "") == NOT_SERVING


async def test_check(health):
    health.health.publish({"": True, "m": False})

    assert await check(health, "") == SERVING
    assert await check(health, "m") == NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await check(health, "other")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watch_is_told_each_change_and_no_repetition(health):
    call = watch(health, "m")
    assert (await call.read()).status == SERVICE_UNKNOWN
    for serves, expected in ((False, NOT_SERVING), (True, SERVING)):
        health.health.publish({"m": serves})
        health.health.publish({"m": serves})
        assert (await call.read()).status == expected
    health.health.publish({})
    assert (await call.read()).status == SERVICE_UNKNOWN
    call.cancel()


async def test_one_watcher_that_leaves_does_not_silence_the_others(health):
    first, second = watch(health, ""), watch(health, "")
    assert (await first.read()).status == (await second.read()).status == NOT_SERVING
    first.cancel()
    assert await first.code() is grpc.StatusCode.CANCELLED

    health.health.publish({"": True})
    assert (await second.read()).status == SERVING
    second.cancel()


async def test_stop_is_final_and_close_ends_watches(health):
    health.health.publish({"": True, "m": True})
    call = watch(health, "m")
    assert (await call.read()).status == SERVING

    health.health.stop()
    health.health.publish({"": True, "m": True})
    assert (await call.read()).status == NOT_SERVING
    assert await check(health, "") == NOT_SERVING

    health.health.close()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_states_follow_the_repository(served):
    expected = {"": True, "a.Service": True, "m": True, "broken": False}
    assert health_states(served.models, ("a.Service",)) == expected
    served.models.is_ready = False
    assert health_states(served.models, ("a.Service",)) == dict.fromkeys(expected, False)
