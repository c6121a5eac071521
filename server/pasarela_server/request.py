"""One inference, as the inside of the server sees it: no protobuf, no gRPC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pasarela_server.tensor import Tensor

ParameterValue = bool | int | float | str
VERSION_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""What a label of a version looks like: lower-case letters, digits, - and _, a letter first."""
VersionName = int | str | None
"""How a request names a version: by number, by a label of the model, or not at all: the highest that is ready."""


class InferRequest(NamedTuple):
    """Tensors for a model, and what the client said about how to treat them. A tuple, as `Timings` is one."""

    model_name: str
    inputs: tuple[Tensor, ...]
    model_version: VersionName = None
    id: str = ""
    requested_outputs: tuple[str, ...] = ()
    """Empty asks for all outputs."""
    parameters: Mapping[str, ParameterValue] = MappingProxyType({})
    deadline_monotonic_s: float | None = None
    """When the client stops waiting, on the clock of `time.monotonic`; None if it waits for ever."""


class Timings(NamedTuple):
    """Where the time of one request went. It grows as the request travels; each stage adds its part by `_replace`.

    Durations in nanoseconds; a stage that a request does not pass stays 0. A tuple, because one is made for every
    request: it costs half of what a frozen dataclass does, and a seventh to replace.
    """

    submitted_ns: int = 0
    """A moment, not a duration: when it was put into its first queue, on the clock of `time.monotonic_ns`."""
    receive_ns: int = 0
    """From the moment that gRPC handed the message over until the request was understood and submitted."""
    encode_ns: int = 0
    """Building the reply."""
    total_ns: int = 0
    """From the moment that gRPC handed the message over until the reply was built. The stages add up to no more; what
    is left are the ways between threads."""
    decode_queue_ns: int = 0
    """An image: waiting, still encoded, until the model needs it and a thread of the CPU pool is free."""
    decode_ns: int = 0
    """An image: from its file to pixels."""
    letterbox_ns: int = 0
    """An image: from its pixels to the network's input."""
    queue_ns: int = 0
    """Waiting for a free instance, and for the batch to be closed."""
    batch_ns: int = 0
    """Gathering the inputs of the batch's requests."""
    infer_ns: int = 0
    """The whole batch in the backend."""
    split_ns: int = 0
    """Splitting the outputs among the batch's requests."""
    nms_queue_ns: int = 0
    """An image: waiting for a thread of the CPU pool that suppresses boxes."""
    nms_ns: int = 0
    """Non-maximum suppression and the way back to source pixels."""
    batch_size: int = 0
    """Rows in the batch that the request travelled in; 0 while it was in none."""
    close_reason: str = ""
    """Why that batch was closed: a value of `scheduling.policy.CloseReason`."""
    instance: int = -1
    """Index of the model's instance that executed it."""
    batch_began_ns: int = 0
    """A moment: when that instance began with the batch, on the clock of `time.monotonic_ns`. The same for all requests
    of a batch, and for no others."""

    @property
    def waiting_ns(self) -> int:
        """All the waiting before the batch: what Triton's clients know as the queue."""
        return self.decode_queue_ns + self.queue_ns

    @property
    def preprocess_ns(self) -> int:
        """All that made the network's input: what Triton's clients know as compute input."""
        return self.decode_ns + self.letterbox_ns + self.batch_ns

    @property
    def postprocess_ns(self) -> int:
        """All that was done to the network's output: what Triton's clients know as compute output."""
        return self.split_ns + self.nms_ns

    def answered(self, received_ns: int, executed_ns: int, now_ns: int) -> Timings:
        """The whole of it, once the reply is built.

        Args:
            received_ns: When gRPC handed the message over, on the clock of `time.monotonic_ns`, as the others.
            executed_ns: When building the reply began.
            now_ns: When it was built.
        """
        submitted_ns = self.submitted_ns
        receive_ns = max(0, submitted_ns - received_ns) if submitted_ns else 0
        # By position: a third of what `_replace` costs.
        return Timings(submitted_ns, receive_ns, now_ns - executed_ns, now_ns - received_ns, *self[4:])


NO_TIMINGS = Timings()
"""Of a request that was not executed."""


class Found(NamedTuple):
    """What a detector saw in one image, as far as it is counted."""

    names: tuple[str, ...]
    """Class names by class id."""
    class_ids: npt.NDArray[np.int32]
    """(n,)."""
    scores: npt.NDArray[np.float32]
    """(n,): 0 to 1."""


class InferResponse(NamedTuple):
    """What a model answered, and which version of it. A tuple, as `Timings` is one."""

    model_name: str
    model_version: int
    outputs: tuple[Tensor, ...]
    id: str = ""
    timings: Timings = NO_TIMINGS
    found: Found | None = None
    """Of a detection model, whichever outputs were asked for."""


def priority_of(parameters: Mapping[str, ParameterValue]) -> int:
    """The priority that a request's parameters name: 1 is the most urgent, 0 says nothing."""
    priority = parameters.get("priority", 0)
    return int(priority) if isinstance(priority, int) else 0
