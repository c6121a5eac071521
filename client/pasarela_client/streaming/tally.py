"""Counts what becomes of the frames of a stream."""

from __future__ import annotations

from pasarela_client.detections import Detections
from pasarela_client.errors import DeadlineExpired
from pasarela_client.streaming.counts import StreamCounts
from pasarela_client.streaming.results import FrameResult


class Tally:
    """`StreamCounts` in the making."""

    def __init__(self) -> None:
        self.pulled = self.dropped = self.lost = self.reconnects = 0
        self._sent = self._resent = self._done = self._failed = self._expired = 0

    @property
    def counts(self) -> StreamCounts:
        """As it stands."""
        return StreamCounts(
            pulled=self.pulled,
            sent=self._sent,
            done=self._done,
            failed=self._failed,
            dropped=self.dropped,
            lost=self.lost,
            expired=self._expired,
            resent=self._resent,
            reconnects=self.reconnects,
        )

    def sent(self, times_before: int) -> None:
        """A frame was sent that had been sent so often before."""
        self._sent += not times_before
        self._resent += bool(times_before)

    def not_sent(self, times_before: int) -> None:
        """What `sent` was told of did not happen."""
        self._sent -= not times_before
        self._resent -= bool(times_before)

    def settled(self, result: FrameResult) -> None:
        """A frame has its result, and was not lost."""
        if isinstance(result, Detections):
            self._done += 1
            return
        self._failed += 1
        self._expired += isinstance(result.error, DeadlineExpired)
