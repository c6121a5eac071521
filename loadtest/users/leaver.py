"""Clients that go away in the middle: what they leave must not disturb anybody."""

from __future__ import annotations

import random
from typing import Any, ClassVar, Final

import gevent
import gevent.queue
import grpc

from loadtest.access import Way
from loadtest.images import detect_requests
from loadtest.scenario import LeaverRequests
from loadtest.users.detect import PAUSE_AFTER_FAILURE_S
from loadtest.users.outcomes import Ending
from loadtest.users.scenario_user import ScenarioUser
from loadtest.users.sending import Sending
from loadtest.users.server_timings import typed_timings
from loadtest.users.unary import Answer, send
from pasarela_client.timings import NOT_TOLD
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub

LEFT: Final = Ending("left", "CANCELLED")
_FRAMES: Final = 4
"""Under way in a stream when its client leaves."""
_LOOK_S: Final = 0.005


class LeaverCall:
    """Begins a call, and goes away if it is not over within a time that chance chooses."""

    user = "leaver"

    def __init__(self, entry: LeaverRequests) -> None:
        """Loads the images.

        Raises:
            NoImages: There are none.
        """
        self.model = entry.model
        self.timeout_s = entry.timeout
        self._entry = entry
        self._requests = detect_requests(entry.model, entry.images)

    def __call__(self, sending: Sending, way: Way, number: int) -> Answer:
        """Begins one call. A client that drops its connection has one to itself."""
        seconds = random.Random(f"{sending.scenario.load.seed}:leaver:{number}").uniform(0, self._entry.after)
        drops = self._entry.leaves == "disconnect"
        taken = sending.open() if drops else way
        try:
            call: Any = self._begin(taken, number)
            answered = self._wait(call, seconds)
            if answered:
                return Answer(call.result().ByteSize(), typed_timings(call.result().timings))
            if not drops:
                call.cancel()
            return Answer(0, NOT_TOLD, LEFT)
        finally:
            if drops:
                sending.close(taken)

    def _begin(self, way: Way, number: int) -> Any:
        stub = DetectionServiceStub(way.channel)
        requests = [self._requests[(number + index) % len(self._requests)] for index in range(_FRAMES)]
        if self._entry.calls == "detect":
            return stub.Detect.future(requests[0], timeout=self.timeout_s, metadata=way.metadata)
        frames: gevent.queue.Queue[pb.StreamDetectRequest | None] = gevent.queue.Queue()
        for index, request in enumerate(requests):
            frames.put(pb.StreamDetectRequest(frame_index=index, request=request))
        call = stub.StreamDetect(iter(frames.get, None), timeout=self.timeout_s, metadata=way.metadata)
        call.add_callback(lambda: frames.put(None))
        return call

    def _wait(self, call: Any, seconds: float) -> bool:
        """Whether the call ended in good order before its client leaves.

        Raises:
            grpc.RpcError: It ended otherwise.
        """
        with gevent.Timeout(seconds, False):
            while not call.done():
                gevent.sleep(_LOOK_S)
        if not call.done():
            return False
        if call.code() is not grpc.StatusCode.OK:
            raise call
        return self._entry.calls == "detect"


class LeaverUser(ScenarioUser):
    """Begins and goes away, again and again."""

    kind: ClassVar[str] = "leaver"

    def on_start(self) -> None:
        """Loads the images; each user begins with another."""
        super().on_start()
        self._call = LeaverCall(self.entry)
        self._number = next(self.sending.streams) * 1_000_003

    def ask(self) -> None:
        """One call."""
        self._number += 1
        if not send(self.sending, self._call, self.way, self._number, self.sending.now(), "closed"):
            self.sending.pause(PAUSE_AFTER_FAILURE_S)
