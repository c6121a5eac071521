"""`StreamDetect` as cameras use it: frames at a rate, or as fast as answers come."""

from __future__ import annotations

import math
import random
from typing import ClassVar

from loadtest.images import detect_requests
from loadtest.users.detect import PAUSE_AFTER_FAILURE_S
from loadtest.users.frame_stream import FrameStream, Pace
from loadtest.users.scenario_user import ScenarioUser


class StreamUser(ScenarioUser):
    """One stream after the other. Those of a rate do not all send at the same moment."""

    kind: ClassVar[str] = "stream"

    def on_start(self) -> None:
        """Loads the images."""
        super().on_start()
        entry = self.entry
        self._requests = detect_requests(entry.model, entry.images)
        self._pace = Pace(
            window=entry.window,
            frames=entry.frames,
            fps=entry.fps,
            deadline_s=entry.deadline,
            tell_deadline=entry.tell_deadline,
            timeout_s=entry.timeout,
        )
        self._first = next(self.sending.streams)
        chance = random.Random(f"{self.sending.scenario.load.seed}:{self.sending.share}:{self._first}")
        self._begins_s = self.sending.now() + (chance.random() / entry.fps if entry.fps else 0.0)
        self._frames = 0
        self._well = True

    def ask(self) -> None:
        """One stream; the next goes on in its pace. What was due since one broke, that one's server is to blame for."""
        gap_s = 1 / self._pace.fps if self._pace.fps else 0.0
        if gap_s and self._well:
            self._begins_s += gap_s * max(0, math.ceil((self.sending.now() - self._begins_s) / gap_s))
        stream = FrameStream(
            self.sending, self.way, self._requests, self._pace, user=self.kind, first=self._first + self._frames
        )
        self._frames += self._pace.frames
        self._well = stream.run(self._begins_s)
        self._begins_s += gap_s * stream.due
        if not self._well:
            self.sending.pause(PAUSE_AFTER_FAILURE_S)
