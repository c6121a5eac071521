"""What one client may have open: counted by address, given back however a call ends."""

import asyncio
from types import SimpleNamespace

import grpc
import pytest

from pasarela_server.rpc.limits import Limited, client_of
from pasarela_server.rpc.refusals import Refusals

PREFIX = "/inference.GRPCInferenceService/"
METHODS = {  # one of each kind
    PREFIX + "ModelInfer": grpc.unary_unary_rpc_method_handler,
    PREFIX + "ModelStreamInfer": grpc.stream_stream_rpc_method_handler,
    PREFIX + "ServerLive": grpc.unary_unary_rpc_method_handler,
    "/grpc.health.v1.Health/Watch": grpc.unary_stream_rpc_method_handler,
}
CALL, STREAM, PROBE, WATCH = METHODS


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        pytest.param("ipv4:10.0.0.1:5123", "ipv4:10.0.0.1", id="each port is another connection"),
        pytest.param("ipv6:%5B2001:db8::1%5D:5123", "ipv6:%5B2001:db8::1%5D", id="IPv6 as gRPC writes it"),
        pytest.param("unix:", "unix:", id="a socket has no port"),
        pytest.param("unix:/run/a:1", "unix:/run/a:1", id="nor has its path"),
    ],
)
def test_who_a_client_is(peer, client):
    assert client_of(peer) == client


class Service(grpc.GenericRpcHandler):
    """Answers when it is told to."""

    def __init__(self):
        self.waiting = []
        self._handlers = {path: kind(self._answer) for path, kind in METHODS.items()}

    def service(self, details):
        return self._handlers.get(details.method)

    async def _answer(self, request, _):
        self.waiting.append(asyncio.get_running_loop().create_future())
        return await self.waiting[-1]


class Context:
    def __init__(self, peer):
        self.said = peer

    def peer(self):
        return self.said

    async def abort(self, code, message):
        self.code, self.message = code, message
        raise grpc.aio.AbortError(message)


@pytest.fixture
def calling():
    """`calling(calls, streams)` gives the service and `call(path, peer)`, which starts one and lets it begin."""

    def limited(calls, streams):
        service = Service()
        guarded = Limited((service,), calls, streams, Refusals())

        async def call(path, peer="ipv4:1.1.1.1:1"):
            handler = guarded.service(SimpleNamespace(method=path))
            behaviour = handler.unary_unary or handler.unary_stream or handler.stream_stream
            context = Context(peer)
            task = asyncio.create_task(behaviour(None, context))
            await asyncio.sleep(0)
            return task, context

        return service, call

    return limited


async def refused(call, *arguments):
    """The message with which a call is refused; None if it is let in."""
    task, context = await call(*arguments)
    if not task.done():
        return None
    with pytest.raises(grpc.aio.AbortError):
        await task
    assert context.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    return context.message


async def test_calls_of_one_address_are_counted_together_and_not_with_others(calling):
    _, call = calling(2, 0)
    assert await refused(call, CALL, "ipv4:1.1.1.1:1") is None
    assert await refused(call, STREAM, "ipv4:1.1.1.1:2") is None
    assert await refused(call, CALL, "ipv4:1.1.1.1:3") == (
        "this client has as many calls open as this server takes from one (2); wait until one has ended"
    )
    assert await refused(call, CALL, "ipv4:2.2.2.2:1") is None


async def test_streams_have_a_limit_of_their_own(calling):
    _, call = calling(0, 1)
    assert await refused(call, WATCH) is None
    assert (await refused(call, STREAM)).startswith("this client has as many streams open")
    assert [await refused(call, CALL) for _ in range(5)] == [None] * 5


async def test_probes_are_neither_counted_nor_refused(calling):
    _, call = calling(1, 1)
    assert [await refused(call, PROBE) for _ in range(3)] == [None] * 3
    assert await refused(call, CALL) is None
    assert await refused(call, CALL) is not None
    assert await refused(call, PROBE) is None


@pytest.mark.parametrize("end", ["answered", "failed", "cancelled"])
async def test_what_has_ended_counts_no_more(calling, end):
    service, call = calling(1, 1)
    for _ in range(3):
        task, _ = await call(STREAM)
        assert await refused(call, STREAM) is not None
        if end == "answered":
            service.waiting[-1].set_result("answer")
            assert await task == "answer"
        elif end == "failed":
            service.waiting[-1].set_exception(RuntimeError("no"))
            with pytest.raises(RuntimeError):
                await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


def test_methods_that_nobody_has_stay_unknown():
    assert Limited((Service(),), 1, 1, Refusals()).service(SimpleNamespace(method="/a/B")) is None
