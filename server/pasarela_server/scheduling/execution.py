"""What an instance tells of each batch that it has executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Execution(NamedTuple):
    """One batch that the backend has answered, and where its time went."""

    rows: int
    input_ns: int
    """Gathering the requests' inputs."""
    infer_ns: int
    """In the backend."""
    output_ns: int
    """Splitting the outputs among the requests."""
    close_reason: str = ""
    """Why the batch was closed: a value of `scheduling.policy.CloseReason`."""
    instance: int = 0
    """Index of the model's instance that executed it."""


OnExecution = Callable[[Execution], None]
"""Called on the instance's thread, before any request of the batch gets its answer: must neither block nor raise."""


def nobody_listens(execution: Execution) -> None:
    """Takes no notice."""
