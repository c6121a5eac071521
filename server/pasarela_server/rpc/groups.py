"""Which callers each method is for: the one table, and the rule for what is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pasarela_server.security.tokens import Group

EVERYBODY: frozenset[Group] = frozenset()
"""Of a method that needs no token: probes have none."""

_INFERENCE = frozenset({Group.INFERENCE})
_CONTROL = frozenset({Group.CONTROL})
_SEEING = frozenset({Group.OBSERVABILITY, Group.CONTROL})
"""Who changes something has to see it."""
_DESCRIBING = frozenset({Group.INFERENCE, Group.OBSERVABILITY})
"""Who wants to call a model asks first what it takes; clients of others always do."""
_ANY = frozenset(Group)

_V2 = "/inference.GRPCInferenceService/"
_DETECTION = "/pasarela.v1.DetectionService/"
_HEALTH = "/grpc.health.v1.Health/"

TRACE_SETTING = _V2 + "TraceSetting"
LOG_SETTINGS = _V2 + "LogSettings"
"""These two read, and change what the request names: the first takes what is here, the second takes control."""

CALLERS: Mapping[str, frozenset[Group]] = MappingProxyType(
    {
        _HEALTH + "Check": EVERYBODY,
        _HEALTH + "Watch": EVERYBODY,
        _V2 + "ServerLive": EVERYBODY,
        _V2 + "ServerReady": EVERYBODY,
        _V2 + "ModelReady": EVERYBODY,
        _V2 + "ModelInfer": _INFERENCE,
        _V2 + "ModelStreamInfer": _INFERENCE,
        _DETECTION + "Detect": _INFERENCE,
        _DETECTION + "StreamDetect": _INFERENCE,
        _V2 + "ServerMetadata": _DESCRIBING,
        _V2 + "ModelMetadata": _DESCRIBING,
        _V2 + "ModelConfig": _DESCRIBING,
        _V2 + "ModelStatistics": frozenset({Group.OBSERVABILITY}),
        _V2 + "RepositoryIndex": _SEEING,
        _V2 + "SystemSharedMemoryStatus": _SEEING,
        _V2 + "CudaSharedMemoryStatus": _SEEING,
        TRACE_SETTING: _SEEING,
        LOG_SETTINGS: _SEEING,
        _V2 + "RepositoryModelLoad": _CONTROL,
        _V2 + "RepositoryModelUnload": _CONTROL,
        _V2 + "SystemSharedMemoryRegister": _CONTROL,
        _V2 + "SystemSharedMemoryUnregister": _CONTROL,
        _V2 + "CudaSharedMemoryRegister": _CONTROL,
        _V2 + "CudaSharedMemoryUnregister": _CONTROL,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ANY,
    }
)


def callers(path: str) -> frozenset[Group]:
    """Groups any of which a token must allow; EVERYBODY if none is needed. What is not in the table takes control."""
    return CALLERS.get(path, _CONTROL)
