"""How a stream fares, in numbers of frames."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What became of the frames of a stream so far.

    Each frame that was pulled is done, failed, dropped, lost or still pending; none is pending when the stream is over.
    """

    pulled: int = 0
    """Taken from the source."""
    sent: int = 0
    """Sent at least once."""
    done: int = 0
    """Answered with detections."""
    failed: int = 0
    """Answered with an error, not fit to be sent, or expired."""
    dropped: int = 0
    """Left out for newer ones, by the policy `drop-oldest`."""
    lost: int = 0
    """Without an answer because the connection broke, or because the stream was left."""
    expired: int = 0
    """Those of the failed whose deadline had passed."""
    resent: int = 0
    """How often a frame was sent again, after a break or when the server's queue was full."""
    reconnects: int = 0
    """How often the stream went on over a new call."""

    @property
    def pending(self) -> int:
        """Pulled, and it is open what becomes of them."""
        return self.pulled - self.done - self.failed - self.dropped - self.lost

    def __str__(self) -> str:
        parts = [f"{self.done} of {self.pulled} done"]
        parts += [
            f"{count} {name}"
            for name, count in (
                ("failed", self.failed),
                ("dropped", self.dropped),
                ("lost", self.lost),
                ("pending", self.pending),
                ("sent again", self.resent),
                ("reconnects", self.reconnects),
            )
            if count
        ]
        return ", ".join(parts)
