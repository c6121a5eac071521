"""What a server has: itself, its models, their states, and what they take and give.

`Server` of `pasarela_client.control` asks for it; what is here are values.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

NOT_LOADED = "UNKNOWN"
"""The state of a model that was never loaded: servers say nothing of it but its name."""


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """What a server says of itself."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()
    """What it offers beyond the core of the protocol, by the protocol's names."""


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
class Batching:
    """What `dynamic_batching` of a configuration says."""

    delay_us: int = 0
    """`max_queue_delay_microseconds`: how long the oldest request waits for company while an instance is free."""
    preferred: tuple[int, ...] = ()
    """`preferred_batch_size`: a batch of so many rows leaves at once."""


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """Instances of a model on devices of one kind."""

    count: int
    """All of them: on several GPUs those of each."""
    device: str = ""
    """CPU, GPU, or empty if the server does not say."""
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a model takes and gives, and what runs it."""

    name: str
    versions: tuple[str, ...]
    """Those that are READY."""
    platform: str
    """The backend, as the protocol's metadata name it."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    class_names: Mapping[int, str]
    """Class id to name; empty if the model does not say."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Names of versions (`stable`): they stand wherever a version is asked for."""
    runs: str = ""
    """The model below: what computes for a detection model; empty if it computes itself."""
    runs_version: str = ""
    """Which version of it; empty for the highest that is READY."""
    max_batch_size: int = 0
    """Rows that a batch takes; 0 if the model takes what its shapes say, and nothing is merged."""
    batching: Batching | None = None
    """None: requests are not merged."""
    instances: tuple[InstanceGroup, ...] = ()
    """Empty if the model computes nothing itself, or the server does not say."""
    backend: str = ""
    """What computes it, as the configuration names it; empty if the server does not tell configurations."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What else the configuration says, in its own words: `confidence`, `jpeg_margin`, `precision`."""

    @property
    def instance_count(self) -> int:
        """Instances on all devices; 0 if the server does not say."""
        return sum(group.count for group in self.instances)


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
