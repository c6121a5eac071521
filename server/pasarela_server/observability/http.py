"""The metrics port: /metrics for Prometheus, /healthz and /readyz for whoever can only ask over HTTP."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

_log = logging.getLogger("pasarela_server.observability")

_POLL_S = 0.1
"""How long `close` may have to wait for the server's thread to notice."""
_MOST_CONNECTIONS = 32
"""Each has a thread. One more ends the oldest: whoever holds connections open keeps nobody else out."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers."""

    status: int
    content_type: str
    body: bytes


def text_page(text: str, *, ok: bool = True) -> Page:
    """A line of text: 200 if `ok`, and else 503."""
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(status, "text/plain; charset=utf-8", f"{text}\n".encode())


class _Server(ThreadingHTTPServer):
    def __init__(self, *arguments: Any) -> None:
        self._open: dict[Any, None] = {}
        """The sockets of connections, the oldest first; under `_lock`."""
        self._lock = threading.Lock()
        super().__init__(*arguments)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            if len(self._open) > _MOST_CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Tells the log what the base class would write to stderr; of clients that go away there is nothing to tell."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            _log.error("a request to the metrics port failed", exc_info=error)


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


class MetricsServer:
    """A small HTTP server on threads of its own, so that it answers whatever the event loop does."""

    def __init__(self, address: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        """Binds the port; `start` answers.

        Args:
            address: The interface to listen on.
            port: 0 takes any free one.
            pages: What each path answers; called on the server's threads.

        Raises:
            OSError: The port cannot be had.
        """
        kind = _Ipv6Server if ":" in address else _Server
        self._server = kind((address.strip("[]"), port), _handler(pages))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stops and frees the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _handler(pages: Mapping[str, Callable[[], Page]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            build = pages.get(self.path.partition("?")[0])
            if build is None:
                page = Page(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", f"{' '.join(pages)}\n".encode())
            else:
                page = build()
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Scrapes are not worth a line each."""

    return Handler
