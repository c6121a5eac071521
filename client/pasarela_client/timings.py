"""Where the time of a request went: on the server by stages, and between client and server."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

STAGES: Final = (
    "receive",
    "decode_queue",
    "decode",
    "letterbox",
    "queue",
    "batch",
    "infer",
    "split",
    "nms_queue",
    "nms",
    "encode",
)
"""The stages of a request in the order in which it passes them; each is a field `…_ns` of `Timings`."""
COARSE_STAGES: Final = ("queue", "preprocess", "infer", "postprocess")
"""What older servers tell instead."""
BETWEEN: Final = "between"
"""What is left of the server's time: ways between its threads."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of a request went, in nanoseconds. A stage that was not passed is 0."""

    preprocess_ns: int = 0
    """All that made the network's input: `decode_ns`, `letterbox_ns` and `batch_ns` together."""
    queue_ns: int = 0
    """Waiting for a free instance, and for the batch to be closed."""
    infer_ns: int = 0
    """The whole batch in the backend."""
    postprocess_ns: int = 0
    """All that was done to the network's output: `split_ns` and `nms_ns` together."""
    batch_size: int = 0
    """Rows in the batch that the request travelled in."""
    receive_ns: int = 0
    """Until the server had understood the request."""
    decode_queue_ns: int = 0
    """Waiting, still encoded, until the model needs it and a thread is free to decode it."""
    decode_ns: int = 0
    """From the image file to pixels."""
    letterbox_ns: int = 0
    """From pixels to the network's input."""
    batch_ns: int = 0
    """Gathering the inputs of the batch's requests."""
    split_ns: int = 0
    """Splitting the outputs among the batch's requests."""
    nms_queue_ns: int = 0
    """Waiting for a thread that suppresses boxes."""
    nms_ns: int = 0
    """Non-maximum suppression and the way back to source pixels."""
    encode_ns: int = 0
    """Building the answer."""
    total_ns: int = 0
    """All of it on the server; 0 if the server did not tell."""
    close_reason: str = ""
    """Why the batch was closed: full, preferred, delay, deadline, idle or alone."""
    instance: int = -1
    """Which of the model's instances executed the batch, from 0; -1 if that is not known."""
    round_trip_ns: int = 0
    """As the client saw it: from taking up the image until its result was there; 0 if it was not measured."""

    @property
    def total_ms(self) -> float:
        """The time on the server, in milliseconds."""
        return (self.total_ns or sum(self.stages.values())) / 1e6

    @property
    def network_ns(self) -> int:
        """What the server did not see: the network, gRPC on both sides, and the client's own work."""
        return max(0, self.round_trip_ns - (self.total_ns or sum(self.stages.values()))) if self.round_trip_ns else 0

    @property
    def stages(self) -> dict[str, int]:
        """Every stage that was passed, in order, and what is left between them; together they are the server's time."""
        if not self.total_ns:
            return {stage: time_ns for stage in COARSE_STAGES if (time_ns := getattr(self, f"{stage}_ns"))}
        told = {stage: time_ns for stage in STAGES if (time_ns := getattr(self, f"{stage}_ns"))}
        return told | {BETWEEN: max(0, self.total_ns - sum(told.values()))}

    def to_dict(self) -> dict[str, Any]:
        """All of it in types that JSON knows."""
        return asdict(self)


NOT_TOLD: Final = Timings()
"""Of results that no server gave."""
