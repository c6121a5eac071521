"""What is told of a request when it has ended, and of an execution: what all observers are fed with."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pasarela_server.request import Timings


class RequestRecord(NamedTuple):
    """One request of a model that exists, answered or not."""

    model: str
    version: int
    request_id: str
    """As the client named it; may be empty."""
    started_ns: int
    """On a monotonic clock, as `ended_ns`."""
    ended_ns: int
    rows: int
    """Inferences in the request: the size of its batch dimension."""
    timings: Timings
    """All zero if the request failed."""
    failed: bool

    @property
    def duration_ns(self) -> int:
        """From request to response."""
        return self.ended_ns - self.started_ns


class ExecutionTimes(Protocol):
    """One execution of a batch; `scheduling.execution.Execution` is one."""

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        ...

    @property
    def input_ns(self) -> int:
        """Gathering the requests' inputs."""
        ...

    @property
    def infer_ns(self) -> int:
        """In the backend."""
        ...

    @property
    def output_ns(self) -> int:
        """Splitting the outputs among the requests."""
        ...

    @property
    def close_reason(self) -> str:
        """Why the batch was closed."""
        ...

    @property
    def instance(self) -> int:
        """Index of the model's instance that executed it."""
        ...
