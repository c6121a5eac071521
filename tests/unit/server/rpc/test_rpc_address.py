"""Where to listen, and what is said when it cannot be."""

import socket

import grpc
import pytest

from pasarela_server.rpc.address import PortUnavailable, authority
from pasarela_server.rpc.server import listen


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", "127.0.0.1:80"), ("::", "[::]:80"), ("[::1]", "[::1]:80"), ("localhost", "localhost:80")],
)
def test_authority(address, expected):
    assert authority(address, 80) == expected


async def test_a_port_in_use_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortUnavailable) as refused:
            listen(grpc.aio.server(options=[("grpc.so_reuseport", 0)]), "127.0.0.1", port)
    text = str(refused.value)
    assert text == f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another port with --grpc-port"


async def test_an_address_of_another_machine_is_refused():
    with pytest.raises(PortUnavailable, match=r"192\.0\.2\.1:8001: Cannot assign"):
        listen(grpc.aio.server(), "192.0.2.1", 8001)
