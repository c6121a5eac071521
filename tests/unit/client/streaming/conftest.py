"""Detectors of either client, and servers that stop and start."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pasarela_client import AsyncDetector, Detector
from tests.driven import Driven
from tests.unit.client.streaming.servers import Calls, Port, StreamCall


@pytest.fixture(params=["threads", "tasks"])
def open_detector(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Opens detectors of either client, whose methods are called the same way; closed at the end."""
    with contextlib.ExitStack() as opened:

        def open_one(*arguments: Any, **options: Any) -> Any:
            if request.param == "threads":
                return opened.enter_context(Detector(*arguments, **options))
            return opened.enter_context(Driven(AsyncDetector, *arguments, **options))

        yield open_one


@pytest.fixture
def open_port() -> Iterator[Callable[..., Port]]:
    """Starts servers that are stopped at the end."""
    with contextlib.ExitStack() as opened:

        def open_one(*calls: StreamCall, health: Callable[[], bytes] | None = None) -> Port:
            port = Port(Calls(*calls), health)
            opened.callback(port.stop)
            return port

        yield open_one
