"""One model's configuration, complete and frozen: what config.pbtxt says, with the rest filled in."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from pasarela_server.tensor import TensorSpec

DEFAULT_MAX_QUEUE_REQUESTS = 256


class InstanceKind(enum.Enum):
    """Where instances run; the value is the name in config.pbtxt."""

    AUTO = "KIND_AUTO"
    """Where the parameter `device` says, else on the CPU."""
    CPU = "KIND_CPU"
    GPU = "KIND_GPU"


@dataclass(frozen=True, slots=True)
class Latest:
    """Serve the highest `count` versions."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class AllVersions:
    """Serve every version."""


@dataclass(frozen=True, slots=True)
class Specific:
    """Serve these versions and no others."""

    versions: frozenset[int]


VersionPolicy = Latest | AllVersions | Specific


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """How requests wait."""

    max_requests: int = DEFAULT_MAX_QUEUE_REQUESTS
    """How many may; one more is refused."""
    timeout_us: int = 0
    """How long; 0 for as long as it takes."""
    delays: bool = False
    """What happens to one that has waited longer: False refuses it, True puts it behind all others."""
    allows_override: bool = False
    """Told to clients; a request's own `timeout` always counts."""


@dataclass(frozen=True, slots=True)
class BatchingConfig:
    """How requests are merged into batches."""

    preferred_batch_sizes: tuple[int, ...] = ()
    """Rows; a batch of such a size leaves at once."""
    max_queue_delay_us: int = 0
    """How long the oldest request waits for its batch to grow while an instance is free."""
    preserve_ordering: bool = False
    """Whether answers leave in the order of the requests."""
    priority_levels: int = 0
    """How many levels of urgency requests may name; 0 is one for all."""
    default_priority_level: int = 0
    """Of requests that name none; the most urgent is 1."""
    queue: QueueConfig = QueueConfig()
    """Of all levels that have none of their own."""
    queues: Mapping[int, QueueConfig] = field(default_factory=dict)
    """By level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Everything that is decided about a loaded model."""

    name: str
    backend: str
    inputs: tuple[TensorSpec, ...]
    """Whole shapes: the first dimension is -1 where `max_batch_size` is above 0."""
    outputs: tuple[TensorSpec, ...]
    """As `inputs`; those that are offered, in the order in which they are answered."""
    max_batch_size: int = 0
    """Rows that one request and one batch may have; 0 means that there is no batch dimension."""
    platform: str = ""
    """As it was written; an old way to name the backend."""
    instance_name: str = ""
    instance_kind: InstanceKind = InstanceKind.CPU
    """CPU or GPU: AUTO is decided before."""
    instance_gpu: int | None = None
    """The GPU that the instance group names; None if it names none."""
    instance_count: int = 1
    threads_per_instance: int = 1
    dynamic_batching: BatchingConfig | None = None
    """None: requests are not merged."""
    version_policy: VersionPolicy = Latest()
    artefact: str = ""
    """Name of the model file in a version's folder; empty for models without one."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """As they were written, and `metadata`: a Python literal of what the artefact says of itself."""
    label_filenames: Mapping[str, str] = field(default_factory=dict)
    """By output: a file in the model's folder with a class name a line."""
    input_formats: Mapping[str, str] = field(default_factory=dict)
    """By input: FORMAT_NCHW or FORMAT_NHWC, for clients to read."""
