"""Between the messages of the Open Inference Protocol and the values of `models` and `statistics`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pasarela_client.models import (
    NOT_LOADED,
    Batching,
    InstanceGroup,
    ModelDescription,
    ModelState,
    ServerDescription,
    TensorSpec,
    parse_class_names,
)
from pasarela_client.statistics import BatchTimes, Duration, ModelStatistics, Statistics, version_key
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import model_config_pb2

_DEVICES: Final = {
    model_config_pb2.ModelInstanceGroup.KIND_GPU: "GPU",
    model_config_pb2.ModelInstanceGroup.KIND_CPU: "CPU",
}
_TOLD_ELSEWHERE: Final = frozenset({"metadata", "model", "model_version", "version_labels"})
"""Parameters that have fields of their own in a description."""


def decode_server(answer: pb.ServerMetadataResponse) -> ServerDescription:
    """What a server says of itself."""
    return ServerDescription(answer.name, answer.version, tuple(answer.extensions))


def decode_index(answer: pb.RepositoryIndexResponse) -> list[ModelState]:
    """States by name and version."""
    states = [ModelState(entry.name, entry.version, entry.state or NOT_LOADED, entry.reason) for entry in answer.models]
    return sorted(states, key=lambda state: (state.name, version_key(state.version)))


def decode_description(
    metadata: pb.ModelMetadataResponse, config: model_config_pb2.ModelConfig | None, class_names: Mapping[int, str]
) -> ModelDescription:
    """What a model takes, gives and is configured to do; without a configuration only the first two."""
    config = config or model_config_pb2.ModelConfig()
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    batching = config.dynamic_batching
    return ModelDescription(
        name=metadata.name or config.name,
        versions=tuple(metadata.versions),
        platform=metadata.platform,
        inputs=_decode_specs(metadata.inputs),
        outputs=_decode_specs(metadata.outputs),
        class_names=class_names,
        labels=_decode_labels(parameters.get("version_labels", "")),
        runs=parameters.get("model", ""),
        runs_version=parameters.get("model_version", ""),
        max_batch_size=config.max_batch_size,
        batching=Batching(batching.max_queue_delay_microseconds, tuple(batching.preferred_batch_size))
        if config.HasField("dynamic_batching")
        else None,
        instances=tuple(
            InstanceGroup(group.count * max(1, len(group.gpus)), _DEVICES.get(group.kind, ""), tuple(group.gpus))
            for group in config.instance_group
        ),
        backend=config.backend or config.platform,
        parameters={name: value for name, value in sorted(parameters.items()) if name not in _TOLD_ELSEWHERE},
    )


def decode_class_names(config: model_config_pb2.ModelConfig) -> dict[int, str]:
    """Class id to name, where the configuration holds them."""
    return parse_class_names(config.parameters["metadata"].string_value) if "metadata" in config.parameters else {}


def model_below(config: model_config_pb2.ModelConfig) -> tuple[str, str]:
    """Name and version of the model that another runs; empty if it computes itself."""
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    below = parameters.get("model", "")
    return ("", "") if below == config.name else (below, parameters.get("model_version", ""))


def decode_statistics(answer: pb.ModelStatisticsResponse, taken_s: float) -> Statistics:
    """One reading, by name and version."""
    versions = sorted(map(_decode_model, answer.model_stats), key=lambda each: (each.name, version_key(each.version)))
    return Statistics(tuple(versions), taken_s)


def encode_load(model: str, config: str, files: Mapping[str, bytes]) -> pb.RepositoryModelLoadRequest:
    """A request to load a model.

    Args:
        model: The model.
        config: Its configuration in JSON; empty for that of the repository.
        files: By path inside the model's folder (`1/model.onnx`), what stands in for the repository's files.
    """
    request = pb.RepositoryModelLoadRequest(model_name=model)
    if config or files:
        request.parameters["config"].string_param = config or "{}"
    for path, content in files.items():
        request.parameters[f"file:{path}"].bytes_param = content
    return request


def _decode_model(told: pb.ModelStatistics) -> ModelStatistics:
    times = told.inference_stats
    batches = (
        BatchTimes(
            batch.batch_size, _duration(batch.compute_input), _duration(batch.compute_infer),
            _duration(batch.compute_output),
        )
        for batch in told.batch_stats
    )  # fmt: skip
    return ModelStatistics(
        name=told.name,
        version=told.version,
        answered=_duration(times.success),
        failed=_duration(times.fail),
        queue=_duration(times.queue),
        input=_duration(times.compute_input),
        infer=_duration(times.compute_infer),
        output=_duration(times.compute_output),
        cache_hit=_duration(times.cache_hit),
        cache_miss=_duration(times.cache_miss),
        rows=told.inference_count,
        executions=told.execution_count,
        batches=tuple(sorted((batch for batch in batches if batch.executions), key=lambda batch: batch.rows)),
        last_inference_s=told.last_inference / 1e3 if told.last_inference else None,
    )


def _duration(told: pb.StatisticDuration) -> Duration:
    return Duration(told.count, told.ns)


def _decode_specs(tensors: Iterable[pb.ModelMetadataResponse.TensorMetadata]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in tensors)


def _decode_labels(text: str) -> dict[str, int]:
    """Labels out of `stable=1, canary=2`, as the configuration's parameter holds them; what is no such pair is none."""
    pairs = (pair.strip().partition("=") for pair in text.split(","))
    return {label: int(version) for label, _, version in pairs if label and version.isdecimal()}
