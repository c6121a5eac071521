"""The tensor protocol: `inference.GRPCInferenceService` over the models of the repository."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from typing_extensions import override

from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc
from pasarela_server.config import model
from pasarela_server.config.proto import to_proto
from pasarela_server.observability.logging import LogControl
from pasarela_server.observability.metrics import Metrics
from pasarela_server.observability.record import Caller
from pasarela_server.observability.tracing import Tracer
from pasarela_server.request import InferRequest
from pasarela_server.rpc.callers import Callers, untraced
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.codec import decode_request, encode_response
from pasarela_server.rpc.messages import ReceivedRequest, Reply
from pasarela_server.rpc.models import Models
from pasarela_server.rpc.repository import RepositoryCalls
from pasarela_server.rpc.settings import SettingsCalls
from pasarela_server.rpc.shared_memory import SharedMemoryCalls
from pasarela_server.rpc.statistics import StatisticsCalls
from pasarela_server.rpc.status import FailureTable
from pasarela_server.rpc.stream import InferStreams
from pasarela_server.rpc.timings import asks_for_timings, encode_parameters
from pasarela_server.rpc.version import parse_version
from pasarela_server.rpc.wire import Contents
from pasarela_server.tensor import TensorSpec

SERVER_NAME = "pasarela"
EXTENSIONS = (
    "classification",
    "logging",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "statistics",
    "trace",
)
"""Triton's names of the extensions that are really there: clients call what is listed."""

VERSION_LABELS = "version_labels"

_SERVICE: str = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_INFER, _STREAM_INFER = f"{_SERVICE}/ModelInfer", f"{_SERVICE}/ModelStreamInfer"

Context = grpc.aio.ServicerContext[Any, Any]


class InferenceService(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Inference and metadata; each other family of RPCs has an object of its own.

    ModelInfer and ModelStreamInfer take and give messages that protobuf does not hold whole: they are registered with
    the functions of `messages`, which read and write them.
    """

    def __init__(
        self,
        models: Models,
        calls: OpenCalls,
        metrics: Metrics,
        server_version: str,
        *,
        repository: RepositoryCalls | None = None,
        shared_memory: SharedMemoryCalls | None = None,
        statistics: StatisticsCalls | None = None,
        settings: SettingsCalls | None = None,
        failures: FailureTable | None = None,
        callers: Callers = untraced,
    ) -> None:
        self._models = models
        self._calls = calls
        self._metrics = metrics
        self._server_version = server_version
        self._callers = callers
        self._repository = repository or RepositoryCalls(models)
        self._shared_memory = shared_memory or SharedMemoryCalls()
        self._statistics = statistics or StatisticsCalls(models, metrics.statistics)
        self._settings = settings or SettingsCalls(models, LogControl(), Tracer())
        self._streams = InferStreams(self._answer, calls.wait_stopping, failures or FailureTable())

    @override
    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:
        """The process answers."""
        return pb.ServerLiveResponse(live=True)

    @override
    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:
        """Every model that should be loaded is ready, and the server is not stopping."""
        return pb.ServerReadyResponse(ready=not self._calls.stopping and self._models.ready())

    @override
    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:
        """Name, version and the extensions that are really there."""
        extensions = (*EXTENSIONS, *self._shared_memory.extensions)
        return pb.ServerMetadataResponse(name=SERVER_NAME, version=self._server_version, extensions=extensions)

    @override
    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        """Whether a model can answer; an unknown one cannot."""
        version = parse_version(request.name, request.version)
        return pb.ModelReadyResponse(ready=self._models.model_ready(request.name, version))

    @override
    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        """The tensors of a model, batch dimension included, and the versions that are ready."""
        config = self._config(request.name, request.version)
        return pb.ModelMetadataResponse(
            name=request.name,
            versions=map(str, self._models.ready_versions(request.name)),
            platform=config.platform or config.backend,
            inputs=map(_tensor_metadata, config.inputs),
            outputs=map(_tensor_metadata, config.outputs),
        )

    @override
    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:
        """The configuration in force, completed from the artefact; a parameter names the labels of versions, if any."""
        config = to_proto(self._config(request.name, request.version))
        labels = self._models.labels(request.name)
        if labels:
            listed = ", ".join(f"{label}={version}" for label, version in sorted(labels.items()))
            config.parameters[VERSION_LABELS].string_value = listed
        return pb.ModelConfigResponse(config=config)

    @override
    async def ModelInfer(self, request: ReceivedRequest, context: Context) -> Reply:  # type: ignore[override]
        """One inference. When the client goes away this call is cancelled, and its queue entry with it."""
        with self._calls.admitted():
            response = pb.ModelInferResponse()
            caller = self._callers(_INFER, context)
            return Reply(response, await self._answer(request, context.time_remaining(), response, caller))

    @override
    async def ModelStreamInfer(  # type: ignore[override]
        self, request_iterator: AsyncIterator[ReceivedRequest], context: Context
    ) -> AsyncIterator[Reply]:
        """Inferences on a stream, answered in order; see `InferStreams.serve`."""
        with self._calls.streaming(_STREAM_INFER):
            caller = self._callers(_STREAM_INFER, context)
            async with contextlib.aclosing(self._streams.serve(request_iterator, context, caller)) as replies:
                async for reply in replies:
                    yield reply

    @override
    async def ModelStatistics(self, request: pb.ModelStatisticsRequest, context: Context) -> pb.ModelStatisticsResponse:
        """See `StatisticsCalls.statistics`."""
        return self._statistics.statistics(request)

    @override
    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Context) -> pb.RepositoryIndexResponse:
        """See `RepositoryCalls.index`."""
        return self._repository.index(request)

    @override
    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """See `RepositoryCalls.load`."""
        return await self._repository.load(request)

    @override
    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """See `RepositoryCalls.unload`."""
        return await self._repository.unload(request)

    @override
    async def SystemSharedMemoryStatus(
        self, request: pb.SystemSharedMemoryStatusRequest, context: Context
    ) -> pb.SystemSharedMemoryStatusResponse:
        """See `SharedMemoryCalls.system_status`."""
        return self._shared_memory.system_status(request)

    @override
    async def SystemSharedMemoryRegister(
        self, request: pb.SystemSharedMemoryRegisterRequest, context: Context
    ) -> pb.SystemSharedMemoryRegisterResponse:
        """See `SharedMemoryCalls.system_register`."""
        return self._shared_memory.system_register(request)

    @override
    async def SystemSharedMemoryUnregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest, context: Context
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        """See `SharedMemoryCalls.system_unregister`."""
        return self._shared_memory.system_unregister(request)

    @override
    async def CudaSharedMemoryStatus(
        self, request: pb.CudaSharedMemoryStatusRequest, context: Context
    ) -> pb.CudaSharedMemoryStatusResponse:
        """See `SharedMemoryCalls.cuda_status`."""
        return self._shared_memory.cuda_status(request)

    @override
    async def CudaSharedMemoryRegister(
        self, request: pb.CudaSharedMemoryRegisterRequest, context: Context
    ) -> pb.CudaSharedMemoryRegisterResponse:
        """See `SharedMemoryCalls.cuda_register`."""
        return self._shared_memory.cuda_register(request)

    @override
    async def CudaSharedMemoryUnregister(
        self, request: pb.CudaSharedMemoryUnregisterRequest, context: Context
    ) -> pb.CudaSharedMemoryUnregisterResponse:
        """See `SharedMemoryCalls.cuda_unregister`."""
        return self._shared_memory.cuda_unregister(request)

    @override
    async def TraceSetting(self, request: pb.TraceSettingRequest, context: Context) -> pb.TraceSettingResponse:
        """See `SettingsCalls.trace`."""
        return self._settings.trace(request)

    @override
    async def LogSettings(self, request: pb.LogSettingsRequest, context: Context) -> pb.LogSettingsResponse:
        """See `SettingsCalls.log`."""
        return self._settings.log(request)

    async def _answer(
        self, request: ReceivedRequest, remaining_s: float | None, reply: pb.ModelInferResponse, caller: Caller
    ) -> list[Contents]:
        """Fills an empty reply; the version first, so that it is known even if the request fails.

        Returns:
            The reply's raw contents.
        """
        received_ns = request.received_ns
        message, regions = request.message, self._shared_memory.regions
        now_s = time.monotonic()
        decoded, deliveries = decode_request(message, request.raw, regions, now_s=now_s, remaining_s=remaining_s)
        with (
            self._models.acquire(decoded.model_name, decoded.model_version) as handle,
            self._metrics.request(decoded.model_name, handle.servable.version, decoded.id, caller) as outcome,
        ):
            servable = handle.servable
            config = servable.config
            reply.model_version = str(servable.version)
            response = await servable.infer(decoded)
            executed_ns = time.monotonic_ns()
            outcome.rows = _rows(decoded, config)
            outcome.found = response.found
            raw = encode_response(
                response, reply, deliveries, labels=servable.labels, batched=config.max_batch_size > 0
            )
            timings = response.timings.answered(received_ns, executed_ns, time.monotonic_ns())
            if asks_for_timings(decoded.parameters):
                encode_parameters(timings, reply)
                timings = timings.answered(received_ns, executed_ns, time.monotonic_ns())
            outcome.timings = timings
            return raw

    def _config(self, name: str, version: str) -> model.ModelConfig:
        return self._models.config(name, parse_version(name, version))


def _tensor_metadata(spec: TensorSpec) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype.value, shape=spec.shape)


def _rows(request: InferRequest, config: model.ModelConfig) -> int:
    return request.inputs[0].array.shape[0] if config.max_batch_size and request.inputs else 1
