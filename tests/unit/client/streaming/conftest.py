"""Detectors of either kind, behind one face."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pasarela_client import Detector
from tests.unit.client.streaming.both_kinds import KINDS, AnyDetector, BlockingDetector, Kind
from tests.unit.client.streaming.servers import Calls, Port, StreamCall


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which of the two clients is tried."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def open_detector(kind: Kind) -> Iterator[Callable[..., AnyDetector]]:
    """Opens detectors of that kind, whose methods block; closed at the end, with what belongs to them."""
    with contextlib.ExitStack() as opened:

        def open_one(*arguments: Any, **options: Any) -> AnyDetector:
            if kind == "sync":
                return opened.enter_context(Detector(*arguments, **options))
            detector = BlockingDetector(*arguments, **options)
            opened.callback(detector.stop)
            return detector

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
