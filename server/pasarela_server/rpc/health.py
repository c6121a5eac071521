"""grpc.health.v1: the server's and each model's health, asked for (Check) or pushed on change (Watch).

grpcio-health-checking brings a servicer, but there the end of one watch silences all others of the same service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from typing_extensions import override

from pasarela_server.rpc.models import Models


def health_states(models: Models, services: Iterable[str]) -> Mapping[str, bool]:
    """Whether the whole server (''), each of its services and each model serves."""
    ready = models.ready()
    names = {entry.name for entry in models.index()}
    return {name: models.model_ready(name, None) for name in names} | dict.fromkeys(("", *services), ready)


Status = int  # the generated enum has no type of its own

SERVING: Status = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Status = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN: Status = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers from a table of states that its owner replaces. Used from the event loop only."""

    def __init__(self) -> None:
        self._states: Mapping[str, Status] = MappingProxyType({"": NOT_SERVING})
        self._changed = asyncio.Event()
        self._stopping = False
        self._closed = False

    def publish(self, states: Mapping[str, bool]) -> None:
        """Replaces the table and tells the watchers; without effect after `stop`.

        Args:
            states: For each service name, '' for the whole server, whether it serves. Others are unknown.
        """
        if not self._stopping:
            self._replace({name: SERVING if serves else NOT_SERVING for name, serves in states.items()})

    def stop(self) -> None:
        """Says of all services, for good, that they do not serve."""
        self._stopping = True
        self._replace(dict.fromkeys(self._states, NOT_SERVING))

    def close(self) -> None:
        """Ends all watches, so that they hold no stopping server."""
        self._closed = True
        self._notify()

    def _replace(self, states: Mapping[str, Status]) -> None:
        self._states = MappingProxyType(dict(states))
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @override
    async def Check(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The state of one service now; NOT_FOUND if there is none of that name."""
        status = self._states.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service or model '{request.service[:200]}'")
        return health_pb2.HealthCheckResponse(status=status)

    @override
    async def Watch(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        """The state of one service, now and whenever it changes, the last one included; it may become known later."""
        last: Status | None = None
        while True:
            changed = self._changed
            status = self._states.get(request.service, SERVICE_UNKNOWN)
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
                continue
            if self._closed:
                return
            await changed.wait()
