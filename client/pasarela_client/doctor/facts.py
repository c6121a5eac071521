"""What is known of a model: how it is set up, what it did while it was watched, how probes fared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pasarela_client.models import Batching, TensorSpec
from pasarela_client.statistics import ModelTraffic
from pasarela_client.timings import Timings

_ITEM_BYTES: Final = {
    "BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "BF16": 2,
    "UINT32": 4, "INT32": 4, "FP32": 4, "UINT64": 8, "INT64": 8, "FP64": 8,
}  # fmt: skip
NETWORK: Final = "network and client"
NO_STATISTICS: Final = ModelTraffic(name="", version="")
"""Of a server that keeps none: it was watched for no time."""
_STATISTICS_STAGES: Final = {"input": "compute input", "output": "compute output"}
"""Stages of the statistics that are several ones of a request's timings."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a model is configured."""

    name: str
    backend: str = ""
    max_batch_size: int = 0
    batching: Batching | None = None
    """None: requests are not merged."""
    instances: int = 1
    device: str = ""
    """CPU, GPU, or empty if the server does not say."""
    inputs: tuple[TensorSpec, ...] = ()
    below: str = ""
    """The model that it runs, if it does not compute itself."""
    below_version: str = ""
    """Which version of it; empty for the highest that is ready."""
    jpeg_margin: str = ""
    """The parameter that lets large JPEGs be decoded smaller; empty if it is not written."""

    @property
    def merges(self) -> bool:
        """Whether requests may share a batch."""
        return self.batching is not None and self.max_batch_size > 1

    @property
    def input_bytes(self) -> int:
        """Bytes of one row of inputs; 0 if their sizes are free or their elements are."""
        rows = [spec.shape[1:] if self.max_batch_size else spec.shape for spec in self.inputs]
        if any(size < 1 for shape in rows for size in shape):
            return 0
        return sum(
            math.prod(shape) * _ITEM_BYTES.get(spec.datatype, 0) for spec, shape in zip(self.inputs, rows, strict=True)
        )

    @property
    def has_free_sizes(self) -> bool:
        """Whether rows of several sizes may come."""
        return any(-1 in spec.shape[1:] for spec in self.inputs)


@dataclass(frozen=True, slots=True)
class Probes:
    """How requests of our own fared."""

    clients: int
    """Each waited for an answer before it sent the next."""
    timings: tuple[Timings, ...] = ()
    """Of those that were answered."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Kinds of errors, and how often they came."""
    messages: Mapping[str, str] = field(default_factory=dict)
    """What the first of each kind said."""
    sent: str = ""
    """What was sent, for people."""

    @property
    def staged(self) -> bool:
        """Whether the server told the stages."""
        return any(timing.total_ns for timing in self.timings)

    @property
    def stages_ns(self) -> dict[str, float]:
        """Means by stage, the network and the client's own work at the end."""
        stages: dict[str, float] = {}
        for timing in self.timings:
            for stage, ns in {**timing.stages, NETWORK: timing.network_ns}.items():
                stages[stage] = stages.get(stage, 0.0) + ns / len(self.timings)
        stages[NETWORK] = stages.pop(NETWORK, 0.0)
        return stages

    @property
    def close_reasons(self) -> dict[str, int]:
        """Why the batches were closed that they travelled in, the most frequent first."""
        return dict(Counter(timing.close_reason for timing in self.timings if timing.close_reason).most_common())

    @property
    def instances(self) -> dict[int, int]:
        """How many each instance executed."""
        return dict(sorted(Counter(timing.instance for timing in self.timings if timing.close_reason).items()))


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the rules look at."""

    asked: Setup
    """The model that was named."""
    runs: Setup
    """The model that computes: the one below, or the same."""
    traffic: ModelTraffic = NO_STATISTICS
    """Requests of the model that was named, while it was watched."""
    executed: ModelTraffic = NO_STATISTICS
    """Batches of the model that computes, whoever asked for them."""
    probes: Probes | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether the model computes on a GPU."""
        return self.runs.device == "GPU"

    @property
    def busy(self) -> float:
        """Share of the time in which the instances computed, 0 to 1."""
        return self.executed.busy(self.runs.instances)

    @property
    def concurrency(self) -> float:
        """Requests in the server at a time that want this model to compute."""
        own = 0.0 if self.asked.name == self.runs.name else self.executed.concurrency
        return self.traffic.concurrency + own

    @property
    def stages_ns(self) -> dict[str, float]:
        """Where the time of a request goes: as probes were told, else as the statistics say. Means."""
        if self.probes and self.probes.staged:
            return self.probes.stages_ns
        return {_STATISTICS_STAGES.get(stage, stage): ns for stage, ns in self.traffic.stages_ns.items()}

    def share(self, *stages: str) -> float:
        """What part of a request's time goes into some stages, 0 to 1."""
        known = self.stages_ns
        total = sum(known.values())
        return sum(known.get(stage, 0.0) for stage in stages) / total if total else 0.0

    def mean_ms(self, *stages: str) -> float:
        """How long a request spends in some stages."""
        known = self.stages_ns
        return sum(known.get(stage, 0.0) for stage in stages) / 1e6
