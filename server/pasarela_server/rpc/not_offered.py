"""The RPCs of the inference service that this server does not offer: each is refused by name, none silently."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Never

from typing_extensions import override

from pasarela_proto import inference_pb2_grpc
from pasarela_server.errors import Unsupported


class NotOffered(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers UNIMPLEMENTED, and says what for; a subclass offers the rest."""

    @override
    async def ModelStreamInfer(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        yield _refuse("ModelStreamInfer", "call ModelInfer, or StreamDetect of pasarela.v1.DetectionService")

    @override
    async def ModelStatistics(self, request: Any, context: Any) -> Any:
        _refuse("ModelStatistics", "read the metrics port")

    @override
    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:
        _refuse("RepositoryModelLoad", _LOADED_AT_START)

    @override
    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:
        _refuse("RepositoryModelUnload", _LOADED_AT_START)

    @override
    async def SystemSharedMemoryStatus(self, request: Any, context: Any) -> Any:
        _refuse("SystemSharedMemoryStatus", _SEND_DATA)

    @override
    async def SystemSharedMemoryRegister(self, request: Any, context: Any) -> Any:
        _refuse("SystemSharedMemoryRegister", _SEND_DATA)

    @override
    async def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> Any:
        _refuse("SystemSharedMemoryUnregister", _SEND_DATA)

    @override
    async def CudaSharedMemoryStatus(self, request: Any, context: Any) -> Any:
        _refuse("CudaSharedMemoryStatus", _SEND_DATA)

    @override
    async def CudaSharedMemoryRegister(self, request: Any, context: Any) -> Any:
        _refuse("CudaSharedMemoryRegister", _SEND_DATA)

    @override
    async def CudaSharedMemoryUnregister(self, request: Any, context: Any) -> Any:
        _refuse("CudaSharedMemoryUnregister", _SEND_DATA)

    @override
    async def TraceSetting(self, request: Any, context: Any) -> Any:
        _refuse("TraceSetting", "there is no tracing")

    @override
    async def LogSettings(self, request: Any, context: Any) -> Any:
        _refuse("LogSettings", "start the server with --log-verbose 1 for more log")


_LOADED_AT_START = "models are loaded when the server starts"
_SEND_DATA = "send the data in the request"


def _refuse(method: str, instead: str) -> Never:
    raise Unsupported(f"{method} is not offered by this server: {instead}")
