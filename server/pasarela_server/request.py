"""One inference, as the inside of the server sees it: no protobuf, no gRPC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pasarela_server.tensor import Tensor

ParameterValue = bool | int | float | str
VERSION_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""What a label of a version looks like: lower-case letters, digits, - and _, a letter first."""
VersionName = int | str | None
"""How a request names a version: by number, by a label of the model, or not at all: the highest that is ready."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """Tensors for a model, and what the client said about how to treat them."""

    model_name: str
    inputs: tuple[Tensor, ...]
    model_version: VersionName = None
    id: str = ""
    requested_outputs: tuple[str, ...] = ()
    """Empty asks for all outputs."""
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    deadline_monotonic_s: float | None = None
    """When the client stops waiting, on the clock of `time.monotonic`; None if it waits for ever."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went. It grows as the request travels; each stage adds its part by `with_`."""

    preprocess_ns: int = 0
    queue_ns: int = 0
    infer_ns: int = 0
    postprocess_ns: int = 0
    batch_size: int = 0
    """Rows in the batch that the request travelled in; 0 while it was in none."""

    def with_(self, **changes: int) -> Timings:
        """The same timings with some fields set."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class InferResponse:
    """What a model answered, and which version of it."""

    model_name: str
    model_version: int
    outputs: tuple[Tensor, ...]
    id: str = ""
    timings: Timings = Timings()


def priority_of(parameters: Mapping[str, ParameterValue]) -> int:
    """The priority that a request's parameters name: 1 is the most urgent, 0 says nothing."""
    priority = parameters.get("priority", 0)
    return int(priority) if isinstance(priority, int) else 0
