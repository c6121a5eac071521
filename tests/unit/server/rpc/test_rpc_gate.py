"""The gate before methods; what it says to clients is in tests/rpc/test_served_tokens.py."""

import hashlib
from types import SimpleNamespace

import grpc
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.rpc.gate import Gate
from pasarela_server.rpc.groups import LOG_SETTINGS
from pasarela_server.rpc.refusals import Refusals
from pasarela_server.security.tokens import Group, TokenLine, Tokens

TOKEN = "0123456789abcdef"
CHANGE = pb.LogSettingsRequest(settings={"log_info": {"bool_param": False}})


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self._answer) if details.method == LOG_SETTINGS else None

    async def _answer(self, request, _):
        return request


class Context:
    def peer(self):
        return "unix:"

    async def abort(self, code, message):
        raise grpc.aio.AbortError(code.name, message)


def gate(*groups):
    line = TokenLine(hashlib.sha256(TOKEN.encode()).digest(), frozenset(groups))
    return Gate((Service(),), lambda: Tokens([line]), Refusals())


def call(gated, method=LOG_SETTINGS, metadata=(("authorization", f"Bearer {TOKEN}"),)):
    return gated.service(SimpleNamespace(method=method, invocation_metadata=metadata))


READING = [
    # request, reason
    (pb.LogSettingsRequest(), "nothing to change"),
    (b"", "nothing to change, as a front has it"),
    (b"\xff\xff", "no message at all: its method says so"),
    (InvalidRequest("no message"), "found to be none by whoever decoded it"),
]


@pytest.mark.parametrize("request_", [pytest.param(row[0], id=row[1]) for row in READING])
async def test_who_observes_gets_through_to_settings(request_):
    assert await call(gate(Group.OBSERVABILITY)).unary_unary(request_, Context()) is request_


@pytest.mark.parametrize(
    "request_", [CHANGE, CHANGE.SerializeToString()], ids=["message", "bytes, as a front has them"]
)
async def test_who_observes_changes_none(request_):
    with pytest.raises(grpc.aio.AbortError, match="PERMISSION_DENIED"):
        await call(gate(Group.OBSERVABILITY)).unary_unary(request_, Context())
    assert await call(gate(Group.CONTROL)).unary_unary(request_, Context()) is request_


def test_a_method_that_nobody_has_is_nobodys_with_or_without_a_token():
    for metadata in ((), (("authorization", f"Bearer {TOKEN}"),)):
        assert call(gate(*Group), "/a/B", metadata) is None


async def test_metadata_of_any_kind_do_no_harm():
    for value in ("", "Bearer", "Bearer ", "\x80", "Bearer \udcff", "Basic " + TOKEN):
        refusing = call(gate(*Group), metadata=(("authorization", value), ("other-bin", b"\xff")))
        with pytest.raises(grpc.aio.AbortError, match="UNAUTHENTICATED"):
            await refusing.stream_stream(None, Context())
    with pytest.raises(grpc.aio.AbortError, match="UNAUTHENTICATED"):
        await call(gate(*Group), metadata=None).stream_stream(None, Context())
