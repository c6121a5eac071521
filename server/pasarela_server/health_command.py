"""`pasarela-server health`: asks the server on this machine whether it serves, for probes of containers.

It takes the server's own flags and environment, so that it knows port and certificates; and it is light, since it runs
every few seconds.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pasarela_server.config.command_line import parse_command_line
from pasarela_server.config.server import ServerConfig
from pasarela_server.rpc.address import authority
from pasarela_server.rpc.restrictions import HEADER

WAIT_S: Final = 3.0
"""Longer than a healthy server takes, shorter than probes wait."""
_EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104 - read, not bound


def run_health(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Asks, prints one word, and returns the exit code.

    Args:
        arguments: The flags that the server was started with, as far as they are not in the environment.
        environment: Usually `os.environ`.

    Returns:
        0 if the server is ready; 1 if it is not, or does not answer.

    Raises:
        SystemExit: With code 2 for a wrong command line; with 0 after `--help`.
    """
    config = parse_command_line(arguments, {"PASARELA_MODEL_REPOSITORY": ".", **environment}, "pasarela-server health")
    address = _EVERYWHERE.get(config.grpc_address, config.grpc_address), config.grpc_port
    try:
        with _channel(config, address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=WAIT_S, metadata=_metadata(config))
    except (grpc.RpcError, OSError) as error:
        sys.stderr.write(f"no answer from {authority(*address)}: {_reason(error)}\n")
        return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def _metadata(config: ServerConfig) -> tuple[tuple[str, str], ...]:
    """What the server asks for, if whoever runs it has restricted health."""
    return tuple(
        (HEADER + each.key, each.value) for each in config.grpc_restricted_protocol if "health" in each.protocols
    )


def _channel(config: ServerConfig, address: tuple[str, int]) -> grpc.Channel:
    target = authority(*address)
    certificate, key = config.grpc_server_cert, config.grpc_server_key
    if certificate is None or key is None or not (config.grpc_use_ssl or config.grpc_use_ssl_mutual):
        return grpc.insecure_channel(target)
    shows = (certificate, key) if config.grpc_use_ssl_mutual else None
    pair = {} if shows is None else {"private_key": key.read_bytes(), "certificate_chain": certificate.read_bytes()}
    name = _name_of(certificate, address, shows)
    credentials = grpc.ssl_channel_credentials(certificate.read_bytes(), **pair)
    return grpc.secure_channel(target, credentials, options=[("grpc.ssl_target_name_override", name)])


def _name_of(certificate: Path, address: tuple[str, int], shows: tuple[Path, Path] | None) -> str:
    """A name that the server's certificate is for: the probe calls this machine, for which it is not.

    Raises:
        OSError: Nothing answers, or it shows another certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    context.set_alpn_protocols(["h2"])
    if shows is not None:
        context.load_cert_chain(*shows)
    with socket.create_connection(address, WAIT_S) as plain, context.wrap_socket(plain) as connection:
        shown = connection.getpeercert() or {}
    names = [str(entry[1]) for entry in shown.get("subjectAltName", ()) if entry]
    return names[0].replace("*.", "health.") if names else address[0]


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        code, details = getattr(error, "code", None), getattr(error, "details", None)
        return f"{code().name}: {details()}" if callable(code) and callable(details) else "the call failed"
    return str(error)
