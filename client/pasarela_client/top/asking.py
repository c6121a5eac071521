"""Takes readings: of the server over gRPC, and of its metrics over HTTP."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from pasarela_client.addresses import parse_address
from pasarela_client.errors import (
    DeadlineExpired,
    InvalidRequest,
    ModelUnavailable,
    PasarelaError,
    RequestCancelled,
    ServerUnreachable,
    Unsupported,
)
from pasarela_client.models import ModelState
from pasarela_client.prometheus import Metrics, NoMetrics
from pasarela_client.sync.control import Server
from pasarela_client.top.reading import Lost, Reading

METRICS_PORT: Final = 8002
_MOST_BYTES: Final = 64 << 20
_LONGEST_SCRAPE_S: Final = 3.0
_ASKED_AGAIN: Final = 8
"""Of the versions that are known, so many are asked for at a look: a reload may have changed them."""
_GONE: Final = (ServerUnreachable, DeadlineExpired, ModelUnavailable)
"""What a server that is stopping, starting or overwhelmed answers, if anything."""


def default_metrics_url(url: str) -> str:
    """Where a server's metrics are unless it was told otherwise; empty for one behind a Unix socket."""
    target = parse_address(url).target
    return "" if target.startswith("unix:") else f"http://{target.rpartition(':')[0]}:{METRICS_PORT}/metrics"


def check_metrics_url(url: str) -> str:
    """The address with what people leave out: `http://` and `/metrics`.

    Raises:
        InvalidRequest: It is no address.
    """
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequest(f"metrics are at an address like http://127.0.0.1:8002/metrics, not {url!r}")
    return parts._replace(path=parts.path if parts.path not in {"", "/"} else "/metrics").geturl()


class Watched:
    """A server that is looked at again and again. Used by one thread at a time."""

    def __init__(self, server: Server, metrics_url: str) -> None:
        """Prepares it.

        Args:
            server: Who is asked; belongs to the caller.
            metrics_url: Where its metrics are; empty for nowhere.
        """
        self._server = server
        self._metrics_url = metrics_url
        self._name = ""
        self._instances: dict[tuple[str, str], int] = {}
        """Of each version that is ready; that which was asked for longest ago comes first."""

    def look(self) -> Reading | Lost:
        """One look.

        Raises:
            PasarelaError: Someone answers, and refuses.
        """
        try:
            return self._look()
        except _GONE as error:
            self._name = ""
            self._instances.clear()
            return Lost(time.monotonic(), time.time(), error)

    def _look(self) -> Reading:
        self._name = self._name or self._ask_name()
        states = self._ask_states()
        try:
            statistics = self._server.statistics()
        except Unsupported:
            statistics = None
        at_s, clock_s = time.monotonic(), time.time()
        if not states and statistics is not None:
            states = tuple(ModelState(each.name, each.version, "READY", "") for each in statistics)
        metrics, why_not = self._scrape()
        return Reading(at_s, clock_s, self._name, states, statistics, metrics, why_not, self._ask_instances(states))

    def _ask_name(self) -> str:
        told = self._server.metadata()
        return f"{told.name} {told.version}".strip()

    def _ask_states(self) -> tuple[ModelState, ...]:
        try:
            return tuple(self._server.models())
        except Unsupported:
            return ()

    def _ask_instances(self, states: tuple[ModelState, ...]) -> dict[tuple[str, str], int]:
        ready = {(state.name, state.version) for state in states if state.ready}
        for key in self._instances.keys() - ready:
            del self._instances[key]
        known = list(self._instances)[:_ASKED_AGAIN]
        for key in (*sorted(ready - self._instances.keys()), *known):
            before = self._instances.pop(key, 0)
            try:
                self._instances[key] = self._server.describe(*key).instance_count
            except (ServerUnreachable, DeadlineExpired, RequestCancelled):
                raise
            except PasarelaError:
                self._instances[key] = before
        return dict(self._instances)

    def _scrape(self) -> tuple[Metrics | None, str]:
        if not self._metrics_url:
            return None, "--metrics-url says where the server's metrics are"
        try:
            timeout_s = min(self._server.timeout_s or _LONGEST_SCRAPE_S, _LONGEST_SCRAPE_S)
            return Metrics.parse(scrape(self._metrics_url, timeout_s)), ""
        except NoMetrics as error:
            return None, f"{self._metrics_url} gives no metrics ({error})"
        except UnicodeError:
            return None, f"{self._metrics_url} names no host; --metrics-url says where the metrics are"
        except OSError as error:
            return None, f"{self._metrics_url} does not answer ({_why(error)}); --metrics-url says where they are"
        except http.client.HTTPException:
            return None, f"{self._metrics_url} does not speak HTTP; --metrics-url says where the metrics are"


def scrape(url: str, timeout_s: float) -> str:
    """The text of a server's metrics.

    Raises:
        OSError: They could not be read.
        HTTPException: Who answers speaks another protocol.
        NoMetrics: They are no text.
    """
    request = urllib.request.Request(url, headers={"Accept": "text/plain"})  # noqa: S310 - the scheme was checked
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
        content: bytes = answer.read(_MOST_BYTES)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise NoMetrics("no text") from None


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(reason, OSError):
        return reason.strerror or str(reason) or type(reason).__name__
    return error.strerror or str(reason or error) or type(error).__name__
