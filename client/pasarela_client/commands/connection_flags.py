"""The flags by which all commands reach a server."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from pasarela_client.addresses import DEFAULT_URL
from pasarela_client.connection import Connection, Tls, Token
from pasarela_client.errors import InvalidRequest
from pasarela_client.retry import Retry

URL_VARIABLE: Final = "PASARELA_URL"
TOKEN_VARIABLE: Final = "PASARELA_TOKEN"  # noqa: S105 - its name, not a token


def add_connection_flags(parser: argparse.ArgumentParser) -> None:
    """Declares them, as a group of their own."""
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--url",
        default=os.environ.get(URL_VARIABLE) or DEFAULT_URL,
        metavar="HOST:PORT",
        help="the server; grpcs://HOST:PORT for TLS; of several, with commas between, each call goes to the next that "
        f"answers (default: ${URL_VARIABLE}, else {DEFAULT_URL})",
    )
    group.add_argument(
        "--tls", action="store_true", help="encrypt; the server's certificate must be signed by a known CA"
    )
    group.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="trust these certificates instead (PEM); means --tls"
    )
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="our certificate, for servers that want one (PEM)")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM, not encrypted)")
    group.add_argument("--tls-server-name", default="", metavar="NAME", help="the name in the server's certificate")
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"holds the token to send (default: the token in ${TOKEN_VARIABLE}, if that is set)",
    )
    group.add_argument(
        "--allow-insecure-token", action="store_true", help="send the token to another machine without TLS, readable"
    )
    group.add_argument(
        "--retries",
        type=int,
        default=Retry().retries,
        metavar="N",
        help="try so often again if no server is reached or its queue is full (default: %(default)s)",
    )


def connection_of(arguments: argparse.Namespace) -> Connection:
    """The settings that the flags and the environment ask for.

    Raises:
        InvalidRequest: They contradict each other.
    """
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise InvalidRequest("--tls-cert and --tls-key belong together: a certificate and its private key")
    files = Tls(
        ca=arguments.tls_ca,
        certificate=arguments.tls_cert,
        key=arguments.tls_key,
        server_name=arguments.tls_server_name,
    )
    wanted = arguments.tls or any((files.ca, files.certificate)) or arguments.url.startswith("grpcs://")
    if files.server_name and not wanted:
        raise InvalidRequest("--tls-server-name is for connections with TLS: add --tls or --tls-ca FILE")
    token: Token | None = arguments.token_file or os.environ.get(TOKEN_VARIABLE) or None
    return Connection(
        tls=files if wanted else False,
        token=token,
        allow_insecure_token=arguments.allow_insecure_token,
        retry=Retry(retries=arguments.retries),
    )
