"""Asks a server how a model is set up, and what it has done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pasarela_client.connection import Connection
from pasarela_client.control_codec import decode_index
from pasarela_client.doctor.facts import Batching, Executions, Setup, Traffic
from pasarela_client.errors import InvalidRequest, ModelNotFound, Unsupported
from pasarela_client.models import ModelState, TensorSpec
from pasarela_client.sync.endpoints import Endpoints
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import model_config_pb2
from pasarela_proto.inference_pb2_grpc import GRPCInferenceServiceStub

_DEVICES = {
    model_config_pb2.ModelInstanceGroup.KIND_GPU: "GPU",
    model_config_pb2.ModelInstanceGroup.KIND_CPU: "CPU",
}
_DURATIONS = ("queue", "compute_input", "compute_infer", "compute_output")


class AskedServer:
    """A server, asked about its models."""

    def __init__(self, url: str, timeout_s: float | None, connection: Connection) -> None:
        """Prepares it without connecting.

        Args:
            url: `host:port` of the server.
            timeout_s: Longest wait for each answer.
            connection: How to reach it.

        Raises:
            InvalidRequest: The address is none, or there are several: their statistics are not each other's.
        """
        self.url = url
        self.timeout_s = timeout_s
        self.connection = connection
        self._endpoints = Endpoints(url, connection, GRPCInferenceServiceStub)
        if len(self._endpoints) > 1:
            raise InvalidRequest(f"one server is examined at a time, not {url}")

    def close(self) -> None:
        """Closes the connection."""
        self._endpoints.close()

    def states(self, name: str) -> list[ModelState]:
        """All versions of a model; none if the server keeps no list.

        Raises:
            ModelNotFound: There is no such model; the message names those that there are.
            PasarelaError: The server did not say.
        """
        try:
            known = decode_index(self._ask("RepositoryIndex", pb.RepositoryIndexRequest()))
        except Unsupported:
            return []
        states = [state for state in known if state.name == name]
        if not states:
            names = ", ".join(sorted({state.name for state in known})) or "none"
            raise ModelNotFound(f"the server has no model '{name}'; it has: {names}", model=name)
        return states

    def setup(self, name: str, version: str) -> Setup:
        """How a model is configured.

        Raises:
            PasarelaError: The server did not say.
        """
        config = self._ask("ModelConfig", pb.ModelConfigRequest(name=name, version=version), name).config
        metadata = self._ask("ModelMetadata", pb.ModelMetadataRequest(name=name, version=version), name)
        return read_setup(config, metadata)

    def statistics(self, name: str, version: str) -> pb.ModelStatistics | None:
        """What a model has done since it was loaded; None if the server keeps no statistics.

        Raises:
            PasarelaError: The server did not say.
        """
        try:
            answer = self._ask("ModelStatistics", pb.ModelStatisticsRequest(name=name, version=version), name)
        except Unsupported:
            return None
        return max(answer.model_stats, key=lambda each: int(each.version or 0), default=None)

    def infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        """One inference.

        Raises:
            PasarelaError: It failed.
        """
        response: pb.ModelInferResponse = self._ask("ModelInfer", request, request.model_name, retry=False)
        return response

    def _ask(self, method: str, request: Any, model: str = "", *, retry: bool = True) -> Any:
        return self._endpoints.ask(method, request, timeout_s=self.timeout_s, model=model, retry=retry)


def read_setup(config: model_config_pb2.ModelConfig, metadata: pb.ModelMetadataResponse) -> Setup:
    """The part of a configuration that matters here. Pure."""
    batching = config.dynamic_batching
    groups = config.instance_group
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    return Setup(
        name=config.name or metadata.name,
        backend=config.backend or config.platform or metadata.platform,
        max_batch_size=config.max_batch_size,
        batching=Batching(batching.max_queue_delay_microseconds, tuple(batching.preferred_batch_size))
        if config.HasField("dynamic_batching")
        else None,
        instances=max(1, sum(group.count * max(1, len(group.gpus)) for group in groups)),
        device=next((_DEVICES[group.kind] for group in groups if group.kind in _DEVICES), ""),
        inputs=tuple(TensorSpec(spec.name, spec.datatype, tuple(spec.shape)) for spec in metadata.inputs),
        below=parameters.get("model", ""),
        below_version=parameters.get("model_version", ""),
        jpeg_margin=parameters.get("jpeg_margin", ""),
    )


def read_traffic(before: pb.ModelStatistics | None, after: pb.ModelStatistics | None, seconds: float) -> Traffic:
    """What was done between two readings of one version's statistics. Pure.

    If the version was loaded anew in between, its counts began anew too: then all that it has done since is taken.
    """
    if after is None:
        return Traffic()
    before = before or pb.ModelStatistics()
    if before.version != after.version or before.execution_count > after.execution_count:
        before = pb.ModelStatistics()
    old, new = before.inference_stats, after.inference_stats
    queue, inputs, infer, outputs = (getattr(new, name).ns - getattr(old, name).ns for name in _DURATIONS)
    return Traffic(
        seconds=seconds,
        requests=new.success.count - old.success.count,
        failed=new.fail.count - old.fail.count,
        rows=after.inference_count - before.inference_count,
        batches=after.execution_count - before.execution_count,
        request_ns=new.success.ns - old.success.ns,
        queue_ns=queue,
        input_ns=inputs,
        infer_ns=infer,
        output_ns=outputs,
        by_size=_grown(_executions(before.batch_stats), _executions(after.batch_stats)),
    )


def _executions(batches: Iterable[pb.InferBatchStatistics]) -> dict[int, Executions]:
    return {
        batch.batch_size: Executions(
            batch.compute_infer.count, batch.compute_input.ns + batch.compute_infer.ns + batch.compute_output.ns
        )
        for batch in batches
    }


def _grown(before: dict[int, Executions], after: dict[int, Executions]) -> dict[int, Executions]:
    nothing = Executions(0, 0)
    grown = {
        size: Executions(batches.count - before.get(size, nothing).count, batches.ns - before.get(size, nothing).ns)
        for size, batches in sorted(after.items())
    }
    return {size: batches for size, batches in grown.items() if batches.count}
