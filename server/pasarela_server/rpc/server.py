"""Builds the gRPC server: services, options, port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from pasarela_proto import detection_pb2, detection_pb2_grpc, inference_pb2, inference_pb2_grpc
from pasarela_server.rpc.address import PortUnavailable, authority, try_port
from pasarela_server.rpc.detection import DetectionService
from pasarela_server.rpc.handlers import GuardedHandlers
from pasarela_server.rpc.health import HealthService
from pasarela_server.rpc.inference import InferenceService
from pasarela_server.rpc.messages import read_request, write_reply, write_stream_reply
from pasarela_server.rpc.protection import Protection
from pasarela_server.rpc.status import FailureTable

SERVICES: tuple[str, ...] = (
    inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name,
    detection_pb2.DESCRIPTOR.services_by_name["DetectionService"].full_name,
)
"""Full names of the services that models answer on."""

_HEALTH_SERVICE: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_WINDOW_BYTES = 8 * 2**20
"""How much of one message a client may send before the server has read any of it."""


def build_server(
    inference: InferenceService,
    detection: DetectionService,
    health: HealthService,
    failures: FailureTable,
    max_message_bytes: int,
    protection: Protection | None = None,
) -> grpc.aio.Server:
    """A server with all services and reflection, listening nowhere yet.

    Without protection, whoever reaches it may call everything.
    """
    server = grpc.aio.server(options=server_options(max_message_bytes))
    handlers = (_handlers(inference, detection, health, failures),)
    server.add_generic_rpc_handlers(handlers if protection is None else protection.before(handlers))
    return server


def _handlers(
    inference: InferenceService, detection: DetectionService, health: HealthService, failures: FailureTable
) -> GuardedHandlers:
    handlers: Any = GuardedHandlers(failures)
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(inference, handlers)
    handlers.add_registered_method_handlers(SERVICES[0], _tensor_handlers(inference))
    detection_pb2_grpc.add_DetectionServiceServicer_to_server(detection, handlers)
    health_pb2_grpc.add_HealthServicer_to_server(health, handlers)
    listed = reflection.aio.ReflectionServicer((*SERVICES, _HEALTH_SERVICE, reflection.SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(listed, handlers)
    guarded: GuardedHandlers = handlers
    return guarded


def _tensor_handlers(inference: InferenceService) -> Mapping[str, Any]:
    """The methods that carry tensors, which are kept out of protobuf."""
    return {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(inference.ModelInfer, read_request, write_reply),
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(
            inference.ModelStreamInfer, read_request, write_stream_reply
        ),
    }


def server_options(max_message_bytes: int, *, shares_port: bool = False) -> Sequence[tuple[str, Any]]:
    """How the server treats connections.

    Args:
        max_message_bytes: Largest message that is taken or sent.
        shares_port: Whether other processes of the same server listen on its port, too.
    """
    return (
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # Flow control that probes the bandwidth answers each image with pings; a fixed window holds a raw tensor whole.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
        # Two servers on one port would share its connections by chance.
        ("grpc.so_reuseport", int(shares_port)),
        # Clients may ping idle connections every ten seconds: half of that is left to pings that travel unevenly.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # gRPC keeps to this one, a minute by default, even where it is the longer.
        ("grpc.http2.ping_timeout_ms", 20_000),
    )


def listen(
    server: grpc.aio.Server,
    address: str,
    port: int,
    credentials: grpc.ServerCredentials | None = None,
    *,
    shares_port: bool = False,
) -> int:
    """Binds the server to a port, before it is started.

    Args:
        server: The server.
        address: The interface, without port.
        port: 0 takes any free one.
        credentials: For TLS; None speaks plain text.
        shares_port: Whether other processes of the same server listen on it, too: then it is not tried before.

    Returns:
        The port.

    Raises:
        PortUnavailable: It is taken, not allowed, or the address is not this machine's.
    """
    try:
        if not shares_port:
            try_port(address, port)
        where = authority(address, port)
        return server.add_insecure_port(where) if credentials is None else server.add_secure_port(where, credentials)
    except OSError as error:
        raise PortUnavailable(address, port, "--grpc-port", error) from error
    except RuntimeError as error:
        raise PortUnavailable(address, port, "--grpc-port") from error
