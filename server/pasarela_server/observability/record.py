"""What is told of a request when it has ended, and of an execution: what all observers are fed with."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pasarela_server.request import Timings


class Caller(NamedTuple):
    """Who asked, as far as traces need it; only read where requests are traced."""

    method: str = ""
    """Full name of the RPC, without the first slash."""
    traceparent: str = ""
    """As W3C writes it; empty if the call brought none that is valid."""
    tracestate: str = ""

    def to_text(self) -> str:
        """As it travels between processes; empty for nobody."""
        return "\n".join(self) if self.method else ""

    @classmethod
    def from_text(cls, text: str) -> Caller:
        """As it has arrived."""
        return cls(*text.split("\n")) if text else NOBODY


NOBODY = Caller()
"""Of a call that nobody traces."""


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
    error: type[BaseException] | None = None
    """Why it failed; None if it was answered."""
    caller: Caller = NOBODY

    @property
    def failed(self) -> bool:
        """Whether it has no answer."""
        return self.error is not None

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
