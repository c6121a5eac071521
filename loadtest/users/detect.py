"""`Detect`: one image, one answer."""

from __future__ import annotations

from typing import ClassVar

from loadtest.access import Way
from loadtest.images import detect_requests
from loadtest.scenario import DetectRequests
from loadtest.users.scenario_user import ScenarioUser
from loadtest.users.sending import Sending
from loadtest.users.server_timings import typed_timings
from loadtest.users.unary import Answer, send
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub

PAUSE_AFTER_FAILURE_S = 0.2
"""Keeps closed users of a server that is gone from spinning."""


class DetectCall:
    """Sends the images in turn."""

    user = "detect"

    def __init__(self, entry: DetectRequests) -> None:
        """Loads the images.

        Raises:
            NoImages: There are none.
        """
        self.model = entry.model
        self.timeout_s = entry.timeout
        self._requests = detect_requests(entry.model, entry.images)

    def __call__(self, sending: Sending, way: Way, number: int) -> Answer:  # noqa: ARG002 - of the protocol
        """Sends one image."""
        request = self._requests[number % len(self._requests)]
        response = DetectionServiceStub(way.channel).Detect(request, timeout=self.timeout_s, metadata=way.metadata)
        return Answer(response.ByteSize(), typed_timings(response.timings))


class DetectUser(ScenarioUser):
    """Sends an image, waits for its detections, sends the next."""

    kind: ClassVar[str] = "detect"

    def on_start(self) -> None:
        """Loads the images; each user begins with another."""
        super().on_start()
        self._call = DetectCall(self.entry)
        self._number = next(self.sending.streams)

    def ask(self) -> None:
        """One call."""
        self._number += 1
        well = send(self.sending, self._call, self.way, self._number, self.sending.now(), "closed")
        self.sending.pause(self.entry.pause if well else max(self.entry.pause, PAUSE_AFTER_FAILURE_S))
