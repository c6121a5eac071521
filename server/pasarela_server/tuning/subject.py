"""What is known of the model that is tuned, as it runs now. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pasarela_server.config.model import DEFAULT_MAX_QUEUE_REQUESTS, BatchingConfig, InstanceKind, ModelConfig
from pasarela_server.config.pbtxt import WrittenConfig
from pasarela_server.tuning.candidate import Merge

_MERGE_ONLY = {"preferred_batch_size", "max_queue_delay_microseconds"}
"""Fields of `dynamic_batching` that say how batches are made, and nothing of order, priorities or queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model in force: what the choice of candidates depends on."""

    backend: str
    description: str
    """Framework, device, precision: for people."""
    on_gpu: bool
    detects: bool
    """Whether images are sent to it, and not tensors."""
    cores: int
    """Planned with."""
    instances: int
    threads: int
    """Of each instance."""
    row_by_row: bool = False
    """Whether a batch is computed one row after the other."""
    max_batch_size: int
    """0: it has no batch dimension."""
    merge: Merge
    """In force."""
    precision: str = ""
    """As it is written; empty if it is not."""
    writes_instances: bool = False
    """Whether the configuration says how many instances."""
    writes_merge: bool = False
    """Whether it has `dynamic_batching`."""
    merge_may_go: bool = True
    """Whether `dynamic_batching` says nothing that clients may rely on: order, priorities, queues."""
    most_waiting: int = DEFAULT_MAX_QUEUE_REQUESTS
    """Requests that may wait before one more is refused."""


def describe_subject(
    written: WrittenConfig, config: ModelConfig, description: str, *, detects: bool, row_by_row: bool, cores: int
) -> Subject:
    """Reads a subject off a loaded model.

    Args:
        written: Its configuration as it is written.
        config: The configuration in force.
        description: Of its backend.
        detects: Whether images will be sent to it.
        row_by_row: Whether a batch is computed one row after the other.
        cores: Planned with.
    """
    batching = config.dynamic_batching
    said = {descriptor.name for descriptor, _ in written.dynamic_batching.ListFields()}
    return Subject(
        backend=config.backend,
        description=description,
        on_gpu=config.instance_kind is InstanceKind.GPU,
        detects=detects,
        cores=cores,
        instances=config.instance_count,
        threads=config.threads_per_instance,
        row_by_row=row_by_row,
        max_batch_size=config.max_batch_size,
        merge=_merge(batching),
        precision=config.parameters.get("precision", ""),
        writes_instances=any(group.count for group in written.instance_group) or len(written.instance_group) > 1,
        writes_merge=written.HasField("dynamic_batching"),
        merge_may_go=said <= _MERGE_ONLY,
        most_waiting=DEFAULT_MAX_QUEUE_REQUESTS if batching is None else batching.queue.max_requests,
    )


def _merge(batching: BatchingConfig | None) -> Merge:
    if batching is None:
        return Merge(on=False)
    sizes = batching.preferred_batch_sizes
    return Merge(preferred_rows=sizes[-1] if sizes else 0, delay_us=batching.max_queue_delay_us)
