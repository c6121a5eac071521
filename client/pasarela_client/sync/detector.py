# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.
"""The detector: images in, detections out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pasarela_client.addresses import DEFAULT_URL
from pasarela_client.codec import decode_response, encode_request
from pasarela_client.connection import Connection, Tls, Token
from pasarela_client.detections import Detections
from pasarela_client.errors import named
from pasarela_client.frame import Frame, as_frame
from pasarela_client.images import Channels, ImageSource, encode_image
from pasarela_client.options import DetectOptions
from pasarela_client.request_ids import new_request_id
from pasarela_client.scope import Scope
from pasarela_client.sync.concurrency import off_loop
from pasarela_client.sync.endpoints import Endpoints
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub


class Detector:
    """Asks one model for detections, of one server or of several that have it.

    ::

        with Detector("127.0.0.1:8001", "garments") as detector:
            found = detector.detect("street.jpg", confidence=0.4)
    """

    def __init__(
        self,
        url: str | Sequence[str] = DEFAULT_URL,
        model: str = "garments",
        *,
        timeout_s: float | None = 30.0,
        version: str = "",
        tls: bool | str | Path | Tls | None = None,
        token: Token | None = None,
        retries: int | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Prepares a detector without connecting.

        Args:
            url: `host:port` of the server's gRPC port (`grpcs://host:port` for TLS). Several of them, in a list or with
                commas between, are asked in turn; one that fails is left out for a while.
            model: A detection model, or a raw model whose artefact carries detection metadata.
            timeout_s: Longest wait for one answer, retries included; None waits for ever.
            version: A positive integer, or a label of the model (`stable`); empty means the highest that is ready.
            tls: True for encryption, the path of the certificates to trust, or `Tls` for the rest.
            token: Sent with each call: the token, a `Path` to a file that holds it, or a function that gives it.
            retries: How often a call is tried again when no server can be reached or the queue is full; 0 never.
            connection: All settings of the connection; the three above take the place of what it says.

        Raises:
            InvalidRequest: The address is none, a file cannot be used, or the token would be readable on its way.
        """
        self.model = model
        self.version = version
        self.timeout_s = timeout_s
        settings = (connection or Connection()).having(tls=tls, token=token, retries=retries)
        self._endpoints = Endpoints(url, settings, DetectionServiceStub)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model}{'/' + self.version if self.version else ''} at {self.url}>"

    @property
    def url(self) -> str:
        """Where the servers are, with commas between."""
        return self._endpoints.url

    def close(self) -> None:
        """Closes the connections. Calls that are under way end with `RequestCancelled`."""
        self._endpoints.close()

    def detect(
        self,
        image: ImageSource | Frame,
        *,
        confidence: float | None = None,
        iou: float | None = None,
        classes: Sequence[str | int] | None = None,
        max_detections: int | None = None,
        channels: Channels = "RGB",
        timeout_s: float | None = None,
        priority: int | None = None,
        request_id: str = "",
    ) -> Detections:
        """Finds the objects on one image.

        Args:
            image: A path or a `file://` URL (the file is sent as it is), the bytes of a JPEG, PNG, WebP or BMP file,
                an array (height, width, 3) of uint8, or a Pillow image.
            confidence: Detections with a lower score are left out; 0 to 1. None leaves it to the model, as do the
                other options.
            iou: Of two boxes of one class that overlap more than this, the one with the lower score is left out.
            classes: Only these, by name or id.
            max_detections: At most so many, best first.
            channels: Order of the last axis if `image` is an array.
            timeout_s: Longest wait, retries included; None takes the detector's.
            priority: Level of the model's priority queues: 1 is the most urgent.
            request_id: How the request is called in the server's logs and traces; one is made up if it is empty.

        Raises:
            PasarelaError: One of its kinds says what went wrong.
        """
        options = DetectOptions.of(
            confidence=confidence, iou=iou, classes=classes, max_detections=max_detections, priority=priority
        )
        return self._detect(as_frame(image, channels), options, self._seconds(timeout_s), request_id)

    def _seconds(self, timeout_s: float | None) -> float | None:
        return self.timeout_s if timeout_s is None else timeout_s

    def _detect(
        self,
        frame: Frame,
        options: DetectOptions,
        timeout_s: float | None,
        request_id: str = "",
        *,
        frame_index: int | None = None,
        scope: Scope | None = None,
    ) -> Detections:
        begun_ns = time.monotonic_ns()
        request_id = request_id or new_request_id()
        with named(self.model, request_id):
            image = off_loop(_encoded, frame)
        request = encode_request(image, options, model=self.model, version=self.version, request_id=request_id)
        response = self._endpoints.ask(
            "Detect",
            request,
            timeout_s=timeout_s,
            model=self.model,
            request_id=request_id,
            compressed=self._endpoints.connection.compress_arrays and image.HasField("raw"),
            scope=scope,
        )
        return decode_response(response, frame_index=frame_index, begun_ns=begun_ns, frame=frame)


def _encoded(frame: Frame) -> pb.Image:
    return encode_image(frame.image, channels=frame.channels)
