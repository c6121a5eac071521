"""Locust users that call the typed detection service over real gRPC.

`python loadtest/run.py` starts a server and runs this against it, headless. With a server that runs already, and with
Locust's own page:

    locust -f loadtest/locustfile.py --host 127.0.0.1:8001
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent.queue
import grpc
import grpc.experimental.gevent as grpc_gevent
from locust import User, constant, events, task
from locust.runners import STATE_RUNNING, STATE_SPAWNING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtest.images import load_images
from pasarela_client.channel import open_channel
from pasarela_client.codec import decode_frame, encode_frame, encode_request
from pasarela_client.detections import FrameError
from pasarela_client.errors import PasarelaError, ServerFailure, from_rpc_error
from pasarela_client.options import DetectOptions
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub

grpc_gevent.init_gevent()

PAUSE_AFTER_FAILURE_S = 0.2
"""Keeps users of a server that is gone from spinning."""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _declare_flags(parser: Any) -> None:
    group = parser.add_argument_group("Pasarela")
    group.add_argument("--model", default="garments", env_var="PASARELA_LOADTEST_MODEL", help="model to ask")
    group.add_argument(
        "--images", default="", env_var="PASARELA_LOADTEST_IMAGES", help="folder of images to send (default: samples)"
    )
    group.add_argument(
        "--window", type=int, default=4, env_var="PASARELA_LOADTEST_WINDOW", help="frames under way in each stream"
    )
    group.add_argument(
        "--frames", type=int, default=100, env_var="PASARELA_LOADTEST_FRAMES", help="frames in each stream"
    )


class DetectionUser(User):  # type: ignore[misc]
    """What all users share: a connection of their own, the images, and the way into Locust's statistics."""

    abstract = True
    wait_time = constant(0)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._options = environment.parsed_options
        self._url = self.host or environment.host or "127.0.0.1:8001"
        folder = Path(self._options.images) if self._options.images else None
        self._images = itertools.cycle([pb.Image(encoded=content) for content in load_images(folder)])
        self._channel = open_channel(self._url, own_connection=True)
        self._service = DetectionServiceStub(self._channel)

    def on_stop(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def record(
        self,
        method: str,
        began_s: float,
        *,
        response_bytes: int = 0,
        error: PasarelaError | None = None,
        response: pb.DetectResponse | None = None,
    ) -> None:
        """Adds one request to the statistics; its time is counted from `began_s` on the clock of `perf_counter`."""
        self.environment.events.request.fire(
            request_type="gRPC",
            name=f"{method} {self._options.model}",
            response_time=(time.perf_counter() - began_s) * 1000,
            response_length=response_bytes,
            response=response,
            context={},
            exception=error,
        )

    def convert(self, error: grpc.RpcError) -> PasarelaError:
        """What gRPC raised, in words that group well in the report."""
        return from_rpc_error(error, url=self._url, model=self._options.model)


class DetectUser(DetectionUser):
    """Sends one image, waits for its detections, sends the next."""

    @task  # type: ignore[untyped-decorator]
    def detect(self) -> None:
        """One unary call."""
        request = encode_request(next(self._images), DetectOptions(), model=self._options.model)
        began_s = time.perf_counter()
        try:
            response = self._service.Detect(request, timeout=30)
        except grpc.RpcError as error:
            self.record("Detect", began_s, error=self.convert(error))
            gevent.sleep(PAUSE_AFTER_FAILURE_S)
        else:
            self.record("Detect", began_s, response_bytes=response.ByteSize(), response=response)


class StreamDetectUser(DetectionUser):
    """Sends frames on a stream with a fixed number under way; a new frame follows each answer.

    The time of a frame runs from its being offered to the stream until its answer, so it holds the wait behind the
    frames before it.
    """

    @task  # type: ignore[untyped-decorator]
    def stream(self) -> None:
        """One stream of frames."""
        frames: gevent.queue.Queue[pb.StreamDetectRequest | None] = gevent.queue.Queue()
        offered_s: deque[float] = deque()
        requests = self._requests()

        def offer() -> None:
            request = next(requests, None)
            if request is not None:
                offered_s.append(time.perf_counter())
            frames.put(request)  # None ends the stream

        call = self._service.StreamDetect(iter(frames.get, None))
        try:
            for _ in range(self._options.window):
                offer()
            for answer in call:
                self._record_answer(answer, offered_s.popleft())
                offer()
            for began_s in offered_s:
                self.record("StreamDetect", began_s, error=ServerFailure("the stream ended before all answers came"))
        except grpc.RpcError as error:
            broken = self.convert(error)
            for began_s in offered_s or [time.perf_counter()]:
                self.record("StreamDetect", began_s, error=broken)
            gevent.sleep(PAUSE_AFTER_FAILURE_S)
        finally:
            call.cancel()
            frames.put(None)

    def _requests(self) -> Iterator[pb.StreamDetectRequest]:
        for index in range(self._options.frames):
            if self.environment.runner.state not in (STATE_SPAWNING, STATE_RUNNING):
                return
            yield encode_frame(index, next(self._images), DetectOptions(), model=self._options.model)

    def _record_answer(self, answer: pb.StreamDetectResponse, began_s: float) -> None:
        result = decode_frame(answer, url=self._url, model=self._options.model)
        error = result.error if isinstance(result, FrameError) else None
        self.record("StreamDetect", began_s, response_bytes=answer.ByteSize(), error=error, response=answer.response)
