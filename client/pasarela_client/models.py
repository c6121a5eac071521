"""What a server has: its models, their states, and what they take and give.

Import it by this name, the package does not: it loads the messages of the Open Inference Protocol, which cannot live
in one process with another library's copy of them (tritonclient's, for one).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from pasarela_client.channel import DEFAULT_URL, open_channel
from pasarela_client.errors import from_rpc_error
from pasarela_proto import inference_pb2 as pb
from pasarela_proto.inference_pb2_grpc import GRPCInferenceServiceStub

NOT_LOADED = "UNKNOWN"
"""The state of a model that was never loaded: servers say nothing of it but its name."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model version that the server knows; a model that was never loaded has no version."""

    name: str
    version: str
    state: str
    """READY, LOADING, UNLOADING, UNAVAILABLE, or UNKNOWN for one that was never loaded."""
    reason: str
    """Why it is not READY; empty if it is."""

    @property
    def ready(self) -> bool:
        """Whether it answers requests."""
        return self.state == "READY"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or an output of a model."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    """Batch dimension included; -1 where any size is taken."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a model takes and gives, and what runs it."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    class_names: Mapping[int, str]
    """Class id to name; empty if the model does not say."""


def list_models(url: str = DEFAULT_URL, *, timeout_s: float | None = 10.0) -> list[ModelState]:
    """Every model and version that the server knows, by name and version.

    Raises:
        PasarelaError: The server did not say.
    """
    with _service(url) as service:
        index = service.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=timeout_s)
    states = [ModelState(entry.name, entry.version, entry.state or NOT_LOADED, entry.reason) for entry in index.models]
    return sorted(states, key=lambda state: (state.name, state.version.zfill(20)))


def describe_model(
    name: str, version: str = "", *, url: str = DEFAULT_URL, timeout_s: float | None = 10.0
) -> ModelDescription:
    """What a model takes and gives.

    Args:
        name: The model.
        version: Empty means the highest version that is ready.
        url: The server.
        timeout_s: Longest wait for each answer.

    Raises:
        ModelNotFound: The server has no such model or version.
        PasarelaError: The server did not say.
    """
    with _service(url, name) as service:
        metadata = service.ModelMetadata(pb.ModelMetadataRequest(name=name, version=version), timeout=timeout_s)
        class_names = _ask_class_names(service, name, version, timeout_s)
    return ModelDescription(
        name=metadata.name,
        versions=tuple(metadata.versions),
        platform=metadata.platform,
        inputs=_decode_specs(metadata.inputs),
        outputs=_decode_specs(metadata.outputs),
        class_names=class_names,
    )


def parse_class_names(metadata: str) -> dict[int, str]:
    """Class id to name, out of the Python literal that detection models carry as `parameters["metadata"]`.

    Anything that is no such literal, or has no names, gives an empty dictionary.
    """
    try:
        content = ast.literal_eval(metadata)
        names = content["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(class_id): str(name) for class_id, name in pairs}
    except (ValueError, SyntaxError, TypeError, KeyError):
        return {}


@contextmanager
def _service(url: str, model: str = "") -> Iterator[GRPCInferenceServiceStub]:
    with open_channel(url) as channel:
        try:
            yield GRPCInferenceServiceStub(channel)
        except grpc.RpcError as error:
            raise from_rpc_error(error, url=url, model=model) from error


def _ask_class_names(
    service: GRPCInferenceServiceStub, name: str, version: str, timeout_s: float | None
) -> dict[int, str]:
    """The names that a model's configuration holds; a detection model's are those of the model under it."""
    config = service.ModelConfig(pb.ModelConfigRequest(name=name, version=version), timeout=timeout_s).config
    names = parse_class_names(config.parameters["metadata"].string_value)
    below = config.parameters["model"].string_value
    if names or not below or below == name:
        return names
    return _ask_class_names(service, below, "", timeout_s)


def _decode_specs(tensors: Iterable[pb.ModelMetadataResponse.TensorMetadata]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in tensors)
