"""Clients that read slowly: the server may not fill its memory for them."""

from __future__ import annotations

from typing import ClassVar

from loadtest.images import detect_requests
from loadtest.users.detect import PAUSE_AFTER_FAILURE_S
from loadtest.users.frame_stream import FrameStream, Pace
from loadtest.users.scenario_user import ScenarioUser


class SlowUser(ScenarioUser):
    """Keeps many frames under way, and lets each answer lie for a while before it reads the next."""

    kind: ClassVar[str] = "slow"

    def on_start(self) -> None:
        """Loads the images."""
        super().on_start()
        entry = self.entry
        self._requests = detect_requests(entry.model, entry.images)
        # The last answers of a full window are read as slowly as the others.
        timeout_s = entry.timeout + entry.window * entry.read_pause
        self._pace = Pace(entry.window, entry.frames, read_pause_s=entry.read_pause, timeout_s=timeout_s)
        self._first = next(self.sending.streams)

    def ask(self) -> None:
        """One stream."""
        stream = FrameStream(self.sending, self.way, self._requests, self._pace, user=self.kind, first=self._first)
        if not stream.run(self.sending.now()):
            self.sending.pause(PAUSE_AFTER_FAILURE_S)
