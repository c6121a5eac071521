"""Restricted protocols, as tritonserver has them: some calls need metadata that whoever runs it has chosen."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import grpc
from typing_extensions import override

from pasarela_server.rpc.refusals import Handler, Refusals

HEADER = "triton-grpc-protocol-"
"""What the names of such metadata begin with."""

_V2 = "/inference.GRPCInferenceService/"
_DETECTION = "/pasarela.v1.DetectionService/"
_HEALTH = "/grpc.health.v1.Health/"

METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "health": (
            _V2 + "ServerLive",
            _V2 + "ServerReady",
            _V2 + "ModelReady",
            _HEALTH + "Check",
            _HEALTH + "Watch",
        ),
        "metadata": (_V2 + "ServerMetadata", _V2 + "ModelMetadata"),
        "inference": (
            _V2 + "ModelInfer",
            _V2 + "ModelStreamInfer",
            _DETECTION + "Detect",
            _DETECTION + "StreamDetect",
        ),
        "shared-memory": (
            _V2 + "SystemSharedMemoryStatus",
            _V2 + "SystemSharedMemoryRegister",
            _V2 + "SystemSharedMemoryUnregister",
            _V2 + "CudaSharedMemoryStatus",
            _V2 + "CudaSharedMemoryRegister",
            _V2 + "CudaSharedMemoryUnregister",
        ),
        "model-config": (_V2 + "ModelConfig",),
        "model-repository": (_V2 + "RepositoryIndex", _V2 + "RepositoryModelLoad", _V2 + "RepositoryModelUnload"),
        "statistics": (_V2 + "ModelStatistics",),
        "trace": (_V2 + "TraceSetting",),
        "logging": (_V2 + "LogSettings",),
    }
)
"""Methods of each protocol; reflection, which tells no more than the protocols themselves, is in none."""


class Restrictions(grpc.GenericRpcHandler):
    """Stands before other handlers. Used from the event loop only."""

    def __init__(
        self,
        handlers: Sequence[grpc.GenericRpcHandler],
        restricted: Mapping[str, tuple[str, str]],
        refusals: Refusals,
    ) -> None:
        """Builds the restrictions.

        Args:
            handlers: Asked one after the other, as a server does.
            restricted: Key and value that each restricted protocol needs.
            refusals: Where it is noted.
        """
        self._handlers = tuple(handlers)
        self._refusals = refusals
        self._needed = {
            path: (HEADER + key, value.encode())
            for protocol, (key, value) in restricted.items()
            for path in METHODS[protocol]
        }

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a method, or one that refuses the call, in Triton's words and with its status."""
        path = handler_call_details.method
        needed = self._needed.get(path)
        if needed is not None and not _holds(handler_call_details.invocation_metadata, *needed):
            return self._refusals.refusing(
                "a restricted protocol",
                path,
                grpc.StatusCode.UNAVAILABLE,
                f"This protocol is restricted, expecting header '{needed[0]}'",
            )
        found = (handler.service(handler_call_details) for handler in self._handlers)
        return next((each for each in found if each is not None), None)


def _holds(metadata: Any, name: str, value: bytes) -> bool:
    given = (text for key, text in metadata or () if key == name)
    first = next(given, None)
    return first is not None and hmac.compare_digest(first.encode(errors="surrogatepass"), value)
