"""What `dynamic_batching` of a configuration asks for: read and checked. Pure."""

from __future__ import annotations

from pasarela_proto import model_config_pb2
from pasarela_server.config.model import DEFAULT_MAX_QUEUE_REQUESTS, BatchingConfig, QueueConfig
from pasarela_server.errors import InvalidModel

MOST_LEVELS = 256


def read_batching(asked: model_config_pb2.ModelDynamicBatching, max_batch_size: int, source: str) -> BatchingConfig:
    """Reads it.

    Args:
        asked: As it is written.
        max_batch_size: Rows of a batch.
        source: What messages call the configuration.

    Raises:
        InvalidModel: A size or a priority level is impossible.
    """
    where = f"{source}: dynamic_batching"
    for size in asked.preferred_batch_size:
        if not 1 <= size <= max_batch_size:
            raise InvalidModel(
                f"{where}.preferred_batch_size holds {size}; expected 1 to {max_batch_size}, the max_batch_size"
            )
    levels, default = asked.priority_levels, asked.default_priority_level
    if levels > MOST_LEVELS:
        raise InvalidModel(f"{where}.priority_levels is {levels}; expected at most {MOST_LEVELS}")
    if levels and not 1 <= default <= levels:
        raise InvalidModel(f"{where}.default_priority_level is {default}; expected 1 to {levels}, the priority_levels")
    if default and not levels:
        raise InvalidModel(f"{where}.default_priority_level is {default}, and priority_levels is not written")
    for level in asked.priority_queue_policy:
        if not 1 <= level <= levels:
            raise InvalidModel(f"{where}.priority_queue_policy is of level {level}; there are {levels} priority_levels")
    return BatchingConfig(
        preferred_batch_sizes=tuple(sorted(set(asked.preferred_batch_size))),
        max_queue_delay_us=asked.max_queue_delay_microseconds,
        preserve_ordering=asked.preserve_ordering,
        priority_levels=levels,
        default_priority_level=default,
        queue=_queue(asked.default_queue_policy),
        queues={level: _queue(policy) for level, policy in sorted(asked.priority_queue_policy.items())},
    )


def write_batching(config: BatchingConfig, into: model_config_pb2.ModelDynamicBatching) -> None:
    """Puts it into a message, as clients read it."""
    into.preferred_batch_size.extend(config.preferred_batch_sizes)
    into.max_queue_delay_microseconds = config.max_queue_delay_us
    into.preserve_ordering = config.preserve_ordering
    into.priority_levels = config.priority_levels
    into.default_priority_level = config.default_priority_level
    _write_queue(config.queue, into.default_queue_policy)
    for level, queue in config.queues.items():
        _write_queue(queue, into.priority_queue_policy[level])


def _queue(policy: model_config_pb2.ModelQueuePolicy) -> QueueConfig:
    return QueueConfig(
        max_requests=policy.max_queue_size or DEFAULT_MAX_QUEUE_REQUESTS,
        timeout_us=policy.default_timeout_microseconds,
        delays=policy.timeout_action == model_config_pb2.ModelQueuePolicy.DELAY,
        allows_override=policy.allow_timeout_override,
    )


def _write_queue(queue: QueueConfig, into: model_config_pb2.ModelQueuePolicy) -> None:
    into.max_queue_size = queue.max_requests
    into.default_timeout_microseconds = queue.timeout_us
    into.allow_timeout_override = queue.allows_override
    if queue.delays:
        into.timeout_action = model_config_pb2.ModelQueuePolicy.DELAY
