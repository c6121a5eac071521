from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest

from pasarela_client import Connection, RequestCancelled
from pasarela_client.errors import from_status
from pasarela_client.rotation import SILENT_CALLS
from pasarela_client.sync.endpoints import Endpoints


def test_a_connection_that_is_opened_while_others_close_is_closed_too() -> None:
    opens, closed = threading.Event(), threading.Event()

    def service(channel: Any) -> Any:
        opens.set()
        closed.wait(0.2)  # who closes must wait until this is open
        return channel.unary_unary("/any/Method")

    def close() -> None:
        opens.wait()
        endpoints.close()
        closed.set()

    endpoints = Endpoints("127.0.0.1:1", Connection(), service)
    closing = threading.Thread(target=close)
    closing.start()
    endpoint = endpoints.pick()
    closing.join()
    with pytest.raises(ValueError, match="closed"):
        endpoint.service(b"")
    with pytest.raises(RequestCancelled):
        endpoints.pick()


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        ("", True),  # reason: no answer came, perhaps because there is nobody any more
        ("DeadlineExpired", False),  # reason: the server itself said that it would be too late
    ],
)
def test_a_server_that_says_itself_that_time_is_up_is_not_silent(kind: str, left_out: bool) -> None:
    endpoints = Endpoints("127.0.0.1:1", Connection(), lambda channel: channel)
    endpoint = endpoints.pick()
    for _ in range(SILENT_CALLS):
        endpoints.report(endpoint, from_status(grpc.StatusCode.DEADLINE_EXCEEDED, "late", url="a:1", kind=kind))
    assert endpoints.others_are_well() is not left_out
    endpoints.close()
