"""What a report needs of the server's `/metrics`, out of Prometheus' text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from prometheus_client.parser import text_string_to_metric_families

_GAUGES: Final = {"nv_inference_pending_request_count": "pending", "pasarela_open_requests": "open"}
_COUNTERS: Final = {
    "nv_inference_request_success": "answered",
    "nv_inference_count": "rows",
    "nv_inference_exec_count": "batches",
}
_BY_REASON: Final = {"nv_inference_request_failure": "failed", "pasarela_batches_closed": "closed"}
_PROCESSES: Final = {
    "pasarela_processes": "processes",
    "pasarela_processes_cpu_seconds": "cpu_s",
    "pasarela_processes_resident_memory_bytes": "resident_bytes",
}
_STAGES: Final = "pasarela_request_stage_seconds"
_ROWS: Final = "pasarela_batch_rows"
_KEPT: Final = re.compile(
    rf"(?:{'|'.join((*_GAUGES, *_COUNTERS, *_BY_REASON, *_PROCESSES))})\{{|{_STAGES}_(?:sum|count)\{{|{_ROWS}_bucket\{{"
)
"""The lines that are parsed. The buckets of the stages are nine tenths of the text, and the records know better."""


@dataclass(frozen=True, slots=True)
class ProcessCounts:
    """The server's process and all that it started, together."""

    cpu_s: float
    """Time of the CPU since they began; only ever grows, unless one of them ends."""
    resident_bytes: int
    """Pages that several of them share count once where the system can tell, else once for each."""
    processes: int


@dataclass(frozen=True, slots=True)
class Exposition:
    """What one reading of the metrics says."""

    models: dict[str, ModelCounts]
    """By `model/version`."""
    process: ProcessCounts | None
    """None where the server does not tell."""


@dataclass(slots=True)
class ModelCounts:
    """What the server says of one version of a model at one moment; all but the first two only ever grow."""

    pending: float = 0.0
    """Requests that wait for an instance, now."""
    open: float = 0.0
    """Requests that are being answered, now."""
    answered: float = 0.0
    rows: float = 0.0
    """Rows of the batches that were executed."""
    batches: float = 0.0
    failed: dict[str, float] = field(default_factory=dict)
    """Requests by why they failed."""
    closed: dict[str, float] = field(default_factory=dict)
    """Batches by why they were closed."""
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By stage: how many requests passed it, and the seconds that they spent there together."""
    batch_rows: dict[str, float] = field(default_factory=dict)
    """By largest number of rows: requests that travelled in a batch of at most so many."""

    def to_json(self) -> dict[str, Any]:
        """Everything that is not zero."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        stages = {name: (count, sum_s) for name, (count, sum_s) in content.get("stages", {}).items()}
        known = {entry.name: content[entry.name] for entry in fields(cls) if entry.name in content}
        return cls(**{**known, "stages": stages})


def read_exposition(text: str) -> Exposition:
    """What the text says that reports need.

    Raises:
        ValueError: The text is none of Prometheus'.
    """
    kept = "\n".join(line for line in text.splitlines() if _KEPT.match(line))
    counts: dict[str, ModelCounts] = {}
    told: dict[str, float] = {}
    for name, labels, value in _samples(kept + "\n"):
        if name in _PROCESSES:
            told[_PROCESSES[name]] = told.get(_PROCESSES[name], 0.0) + value
            continue
        if "model" not in labels:
            raise ValueError(f"{name} has no label `model`: is this a Pasarela or Triton server?")
        key = f"{labels['model']}/{labels.get('version', '')}"
        _note(counts.setdefault(key, ModelCounts()), name, labels, value)
    process = None
    if len(told) == len(_PROCESSES):
        process = ProcessCounts(told["cpu_s"], int(told["resident_bytes"]), int(told["processes"]))
    return Exposition(counts, process)


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)


def _note(counts: ModelCounts, name: str, labels: dict[str, str], value: float) -> None:
    if name in _GAUGES or name in _COUNTERS:
        setattr(counts, (_GAUGES | _COUNTERS)[name], value)
    elif name in _BY_REASON:
        getattr(counts, _BY_REASON[name])[labels.get("reason", "")] = value
    elif name.startswith(_STAGES):
        count, sum_s = counts.stages.get(labels["stage"], (0.0, 0.0))
        counts.stages[labels["stage"]] = (count, value) if name.endswith("_sum") else (value, sum_s)
    elif name == f"{_ROWS}_bucket":
        counts.batch_rows[labels["le"]] = value
