"""`dynamic_batching`: what is read, what is told to clients, what is impossible."""

import pytest

from pasarela_proto import model_config_pb2
from pasarela_server.config.batching import read_batching, write_batching
from pasarela_server.config.model import BatchingConfig, QueueConfig
from pasarela_server.config.pbtxt import parse_model_config
from pasarela_server.errors import InvalidModel

EVERYTHING = """
preferred_batch_size: [ 4, 2 ] max_queue_delay_microseconds: 100 preserve_ordering: true
priority_levels: 3 default_priority_level: 2
default_queue_policy { max_queue_size: 9 default_timeout_microseconds: 5000 timeout_action: DELAY allow_timeout_override: true }
priority_queue_policy { key: 1 value { max_queue_size: 2 } }
"""


def read(text: str, max_batch_size: int = 8) -> BatchingConfig:
    written = parse_model_config(f"dynamic_batching {{ {text} }}", "m/config.pbtxt")
    return read_batching(written.dynamic_batching, max_batch_size, "m/config.pbtxt")


def test_nothing_said() -> None:
    assert read("") == BatchingConfig()


def test_everything_said() -> None:
    assert read(EVERYTHING) == BatchingConfig(
        preferred_batch_sizes=(2, 4),
        max_queue_delay_us=100,
        preserve_ordering=True,
        priority_levels=3,
        default_priority_level=2,
        queue=QueueConfig(9, 5000, delays=True, allows_override=True),
        queues={1: QueueConfig(2)},
    )


@pytest.mark.parametrize("text", ["", EVERYTHING])
def test_what_clients_read_is_what_was_meant(text: str) -> None:
    told = model_config_pb2.ModelDynamicBatching()
    write_batching(read(text), told)

    assert read_batching(told, 8, "told") == read(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("preferred_batch_size: 9", "preferred_batch_size holds 9; expected 1 to 8"),  # reason: more than a batch
        ("preferred_batch_size: 0", "preferred_batch_size holds 0"),  # reason: nothing
        ("priority_levels: 3", "default_priority_level is 0; expected 1 to 3"),  # reason: Triton needs it too
        ("priority_levels: 3 default_priority_level: 4", "is 4; expected 1 to 3"),  # reason: no such level
        ("default_priority_level: 1", "and priority_levels is not written"),  # reason: no levels
        ("priority_levels: 99999 default_priority_level: 1", "expected at most 256"),  # reason: a typo
        ("priority_queue_policy { key: 2 value { } }", "of level 2; there are 0 priority_levels"),  # reason: none
    ],
)
def test_what_is_impossible(text: str, expected: str) -> None:
    with pytest.raises(InvalidModel, match=f"^m/config.pbtxt: dynamic_batching.*{expected}"):
        read(text)
