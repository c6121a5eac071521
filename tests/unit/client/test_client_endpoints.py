from __future__ import annotations

import threading
from typing import Any

import pytest

from pasarela_client import Connection, RequestCancelled
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
