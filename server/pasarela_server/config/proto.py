"""A model's configuration as clients read it: the message behind the ModelConfig call."""

from __future__ import annotations

from pasarela_proto import model_config_pb2
from pasarela_server.config.batching import write_batching
from pasarela_server.config.model import AllVersions, Latest, ModelConfig, Specific
from pasarela_server.config.tensors import proto_type
from pasarela_server.tensor import TensorSpec


def to_proto(config: ModelConfig) -> model_config_pb2.ModelConfig:
    """The configuration in force as a message: dims without the batch dimension, everything completed."""
    message = model_config_pb2.ModelConfig(
        name=config.name,
        platform=config.platform,
        backend=config.backend,
        max_batch_size=config.max_batch_size,
        default_model_filename=config.artefact,
        version_policy=_version_policy(config),
    )
    for spec in config.inputs:
        message.input.add(
            name=spec.name,
            data_type=model_config_pb2.DataType.Value(proto_type(spec.datatype)),
            format=model_config_pb2.ModelInput.Format.Value(config.input_formats.get(spec.name, "FORMAT_NONE")),
            dims=_dims(spec, config),
        )
    for spec in config.outputs:
        message.output.add(
            name=spec.name,
            data_type=model_config_pb2.DataType.Value(proto_type(spec.datatype)),
            dims=_dims(spec, config),
            label_filename=config.label_filenames.get(spec.name, ""),
        )
    if config.instance_count:
        message.instance_group.add(
            name=config.instance_name or config.name,
            kind=model_config_pb2.ModelInstanceGroup.Kind.Value(config.instance_kind.value),
            count=config.instance_count,
            gpus=() if config.instance_gpu is None else (config.instance_gpu,),
        )
    if config.dynamic_batching is not None:
        write_batching(config.dynamic_batching, message.dynamic_batching)
    for key, value in config.parameters.items():
        message.parameters[key].string_value = value
    return message


def _dims(spec: TensorSpec, config: ModelConfig) -> tuple[int, ...]:
    return spec.shape[1:] if config.max_batch_size else spec.shape


def _version_policy(config: ModelConfig) -> model_config_pb2.ModelVersionPolicy:
    policy = model_config_pb2.ModelVersionPolicy()
    match config.version_policy:
        case Latest(count):
            policy.latest.num_versions = count
        case AllVersions():
            policy.all.SetInParent()
        case Specific(versions):
            policy.specific.versions.extend(sorted(versions))
    return policy
