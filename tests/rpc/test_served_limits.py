"""How much one client may have open, over the wire. Every way of counting is in tests/unit/server/rpc."""

import grpc
import pytest
from grpc_health.v1 import health_pb2

from pasarela_proto import inference_pb2 as pb
from tests.server_log import wait_for_log

FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


def watching(stubs):
    """A stream that has had its first message, or the error with which it has ended."""
    call = stubs.health.Watch(health_pb2.HealthCheckRequest())
    try:
        next(call)
    except grpc.RpcError as error:
        return None, error
    return call, None


@pytest.mark.parametrize("fronts", [0, 1])  # reason: one front, so that all connections meet the same one
@pytest.mark.parametrize(
    ("flag", "what"), [("--max-requests-per-client", "calls"), ("--max-streams-per-client", "streams")]
)
def test_one_too_many_is_refused_until_one_has_ended(start_server, stubs_for, tmp_path, flag, what, fronts):
    flags = (flag, "2", "--frontends", str(fronts))
    with start_server(tmp_path, "--allow-empty-repository", *flags) as running:
        (first, _), (second, _) = watching(stubs_for(running.address)), watching(stubs_for(running.address))
        assert first.is_active()
        assert second.is_active()

        stubs = stubs_for(running.address)
        _, refused = watching(stubs)
        assert refused.code() is FULL
        assert refused.details() == (
            f"this client has as many {what} open as this server takes from one (2); wait until one has ended"
        )
        method = "/grpc.health.v1.Health/Watch"
        wait_for_log(running, rf"{method} from ipv4:127.0.0.1:\d+ was turned away: the client has too many {what} open")
        assert stubs.inference.ServerLive(pb.ServerLiveRequest()).live, "probes are taken"
        metadata = stubs.inference.ServerMetadata.future(pb.ServerMetadataRequest())
        assert metadata.code() is (FULL if what == "calls" else grpc.StatusCode.OK)

        first.cancel()
        third = None
        while third is None:  # the server hears of the end a moment later
            third, refused = watching(stubs)
            assert third or refused.code() is FULL
        assert watching(stubs)[1].code() is FULL
        third.cancel()
        second.cancel()
