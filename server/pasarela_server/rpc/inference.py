"""The tensor protocol: `inference.GRPCInferenceService` over the models of the repository."""

from __future__ import annotations

import time
from typing import Any

import grpc
from typing_extensions import override

from pasarela_proto import inference_pb2 as pb
from pasarela_server.config import model
from pasarela_server.config.proto import to_proto
from pasarela_server.errors import Unsupported
from pasarela_server.observability.metrics import Metrics
from pasarela_server.repository.servable import State
from pasarela_server.request import InferRequest
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.codec import decode_request, encode_response
from pasarela_server.rpc.models import Models
from pasarela_server.rpc.not_offered import NotOffered
from pasarela_server.rpc.version import parse_version
from pasarela_server.tensor import TensorSpec

SERVER_NAME = "pasarela"
EXTENSIONS = ("model_configuration", "parameters")
"""Triton's names of the extensions that are really there: clients call what is listed."""

Context = grpc.aio.ServicerContext[Any, Any]


class InferenceService(NotOffered):
    """Knows protobuf and models; everything between is in the codec and in the servables."""

    def __init__(self, models: Models, calls: OpenCalls, metrics: Metrics, server_version: str) -> None:
        self._models = models
        self._calls = calls
        self._metrics = metrics
        self._server_version = server_version

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
        return pb.ServerMetadataResponse(name=SERVER_NAME, version=self._server_version, extensions=EXTENSIONS)

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
        """The configuration in force, completed from the artefact."""
        return pb.ModelConfigResponse(config=to_proto(self._config(request.name, request.version)))

    @override
    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        """One inference. When the client goes away this call is cancelled, and its queue entry with it."""
        with self._calls.admitted():
            decoded = decode_request(request, now_s=time.monotonic(), remaining_s=context.time_remaining())
            with (
                self._models.acquire(decoded.model_name, decoded.model_version) as handle,
                self._metrics.request(decoded.model_name, handle.servable.version) as outcome,
            ):
                response = await handle.servable.infer(decoded)
                outcome.timings = response.timings
                outcome.rows = _rows(decoded, handle.servable.config)
            return encode_response(response)

    @override
    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Context) -> pb.RepositoryIndexResponse:
        """Every model and version with its state."""
        if request.repository_name:
            raise Unsupported(
                f"repository '{request.repository_name[:200]}': this server has one repository and no name for it; "
                "leave repository_name empty"
            )
        response = pb.RepositoryIndexResponse()
        for entry in self._models.index():
            if not request.ready or entry.state is State.READY:
                response.models.add(
                    name=entry.name,
                    version="" if entry.version is None else str(entry.version),
                    state=entry.state.value,
                    reason=entry.reason,
                )
        return response

    def _config(self, name: str, version: str) -> model.ModelConfig:
        return self._models.config(name, parse_version(name, version))


def _tensor_metadata(spec: TensorSpec) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype.value, shape=spec.shape)


def _rows(request: InferRequest, config: model.ModelConfig) -> int:
    return request.inputs[0].array.shape[0] if config.max_batch_size and request.inputs else 1
