"""One way to run a model: what it changes in the configuration as it is written. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pasarela_server.config.pbtxt import WrittenConfig


@dataclass(frozen=True, slots=True)
class Merge:
    """How requests that wait are merged into batches."""

    on: bool = True
    """False leaves `dynamic_batching` out."""
    preferred_rows: int = 0
    """The batch size that leaves at once; 0 for none."""
    delay_us: int = 0
    """How long the oldest request waits for its batch to grow."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What differs from the configuration as it is written; None leaves a field as it is."""

    instances: int | None = None
    """0 leaves the number out, so that the server chooses."""
    max_batch_size: int | None = None
    merge: Merge | None = None
    precision: str | None = None

    @property
    def is_baseline(self) -> bool:
        """True if it changes nothing."""
        return self == BASELINE

    def key(self) -> dict[str, Any]:
        """What it changes, as JSON holds it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def apply(self, written: WrittenConfig) -> WrittenConfig:
        """A copy of a configuration with the changes made."""
        config = WrittenConfig()
        config.CopyFrom(written)
        if self.instances is not None:
            _set_instances(config, self.instances)
        if self.max_batch_size is not None:
            config.max_batch_size = self.max_batch_size
        if self.merge is not None:
            _set_merge(config, self.merge)
        if self.precision is not None:
            config.parameters["precision"].string_value = self.precision
        return config


BASELINE = Candidate()
"""The configuration as it is."""


def read_candidate(key: dict[str, Any]) -> Candidate:
    """What `Candidate.key` was made from.

    Raises:
        TypeError: It was made from something else.
    """
    merge = key.get("merge")
    return Candidate(**{**key, "merge": None if merge is None else Merge(**merge)})


def _set_instances(config: WrittenConfig, count: int) -> None:
    """Leaves one group, with what all of them say of the device."""
    groups = list(config.instance_group)
    config.ClearField("instance_group")
    if not groups:
        if count:
            config.instance_group.add(count=count)
        return
    group = config.instance_group.add()
    group.CopyFrom(groups[0])
    gpus = sorted({gpu for each in groups for gpu in each.gpus})
    del group.gpus[:]
    group.gpus.extend(gpus)
    group.count = count
    if not group.ListFields():
        config.ClearField("instance_group")


def _set_merge(config: WrittenConfig, merge: Merge) -> None:
    """What else the block says (order, priorities, queues) stays."""
    if not merge.on:
        config.ClearField("dynamic_batching")
        return
    batching = config.dynamic_batching
    batching.SetInParent()
    del batching.preferred_batch_size[:]
    if merge.preferred_rows:
        batching.preferred_batch_size.append(merge.preferred_rows)
    batching.max_queue_delay_microseconds = merge.delay_us
