"""The failure table applied to all four kinds of RPC."""

import asyncio
import contextlib
from types import SimpleNamespace

import grpc
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import ModelNotFound
from pasarela_server.rpc.handlers import GuardedHandlers
from pasarela_server.rpc.status import FailureTable


def raising(error):
    async def unary(request, context):
        raise error

    async def stream(request, context):
        yield b"first"
        raise error

    async def writer(request, context):
        await context.write(b"first")
        raise error

    return {
        "unary_unary": grpc.unary_unary_rpc_method_handler(unary),
        "stream_unary": grpc.stream_unary_rpc_method_handler(unary),
        "unary_stream": grpc.unary_stream_rpc_method_handler(stream),
        "stream_stream": grpc.stream_stream_rpc_method_handler(stream),
        "unary_stream_writer": grpc.unary_stream_rpc_method_handler(writer),
    }


@contextlib.asynccontextmanager
async def served(handlers):
    guarded = GuardedHandlers(FailureTable())
    guarded.add_registered_method_handlers("s", handlers)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((guarded,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def ask(channel, kind):
    """What comes back before the failure, and the failure."""
    got = []
    call = getattr(channel, kind.removesuffix("_writer"))(f"/s/{kind}")
    argument = iter([b"x"]) if kind.startswith("stream") else b"x"
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        if "_stream" in kind:
            async for response in call(argument):
                got.append(response)  # noqa: PERF401 - an exception follows
        else:
            await call(argument)
    return got, failure.value


KINDS = list(raising(KeyError()))


@pytest.mark.parametrize("kind", KINDS)
async def test_serving_errors_take_their_status(kind):
    async with served(raising(ModelNotFound("there is no model 'm'"))) as channel:
        got, failure = await ask(channel, kind)
    assert (failure.code(), failure.details()) == (grpc.StatusCode.NOT_FOUND, "there is no model 'm'")
    assert dict(failure.trailing_metadata())["pasarela-error"] == "ModelNotFound"
    assert got == ([b"first"] if "_stream" in kind else [])


@pytest.mark.parametrize("kind", KINDS)
async def test_other_errors_tell_nothing(kind, caplog):
    async with served(raising(RuntimeError("/srv/secret"))) as channel:
        _, failure = await ask(channel, kind)
    assert failure.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in failure.details()
    assert "RuntimeError: /srv/secret" in caplog.text


async def test_a_status_that_a_servicer_set_itself_stays(caplog):
    async def unary(request, context):
        await context.abort(grpc.StatusCode.DATA_LOSS, "its own words")

    async with served({"unary_unary": grpc.unary_unary_rpc_method_handler(unary)}) as channel:
        _, failure = await ask(channel, "unary_unary")
    assert (failure.code(), failure.details()) == (grpc.StatusCode.DATA_LOSS, "its own words")
    assert "its own words" not in caplog.text


async def test_unknown_methods_stay_unimplemented():
    async with served({}) as channel:
        _, failure = await ask(channel, "unary_unary")
    assert failure.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_each_call_is_a_line_where_the_log_is_verbose(caplog):
    async def unary(request, context):
        return request

    caplog.set_level("DEBUG", "pasarela_server.rpc")
    async with served({"good": grpc.unary_unary_rpc_method_handler(unary)} | raising(ModelNotFound("none"))) as channel:
        await channel.unary_unary("/s/good")(b"x")
        await ask(channel, "unary_unary")
        while len(caplog.records) < 3:  # noqa: ASYNC110 - the last line comes after the answer, and nothing tells of it
            await asyncio.sleep(0.001)

    good, why, failed = (record.getMessage() for record in caplog.records)
    assert good.startswith("/s/good from ipv4:127.0.0.1:")
    assert ": OK, " in good
    assert why == "request '' failed: NOT_FOUND, ModelNotFound: none"
    assert "NOT_FOUND: none, " in failed


@pytest.mark.parametrize("kind", ["unary_unary", "stream_unary", "unary_stream", "stream_stream"])
async def test_bytes_that_are_no_message_are_the_clients_fault(kind, caplog):
    async def unary(request, context):
        if kind.startswith("stream"):
            async for _ in request:
                pass
        return b""

    async def stream(request, context):
        if kind.startswith("stream"):
            async for _ in request:
                pass
        yield b""

    behaviour = unary if kind.endswith("unary") else stream
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    handlers = {kind: make(behaviour, request_deserializer=pb.ModelReadyRequest.FromString)}
    async with served(handlers) as channel:
        _, error = await ask(channel, kind)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"1 bytes that are no message of /s/{kind}" in error.details()
    assert not caplog.records, "whoever sends nonsense must not fill the log"


@pytest.mark.parametrize("where", ["reading", "writing"])
async def test_a_client_that_goes_away_cancels_no_operation_of_grpcs(where):
    begun, may_end, outcome = asyncio.Event(), asyncio.Event(), []

    async def operation():
        begun.set()
        try:
            await may_end.wait()
            outcome.append("over")
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    async def messages():
        if where == "reading":
            await operation()
        yield b"x"

    async def echo(requests, context):
        async for request in requests:
            yield request

    guarded = GuardedHandlers(FailureTable())
    guarded.add_registered_method_handlers("s", {"echo": grpc.stream_stream_rpc_method_handler(echo)})
    context = SimpleNamespace(write=lambda _: operation())
    call = asyncio.create_task(guarded.service(SimpleNamespace(method="/s/echo")).stream_stream(messages(), context))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_end.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert outcome == ["over"]
