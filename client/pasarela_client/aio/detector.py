"""The detector: images in, detections out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc

from pasarela_client.aio.concurrency import insecure_channel, off_loop
from pasarela_client.channel import DEFAULT_URL, OPTIONS, parse_url
from pasarela_client.codec import decode_response, encode_request
from pasarela_client.detections import Detections
from pasarela_client.errors import PasarelaError, RequestCancelled, from_rpc_error
from pasarela_client.images import Channels, ImageSource, encode_image
from pasarela_client.options import DetectOptions
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub


class AsyncDetector:
    """Asks one model of one server for detections.

    ::

        async with AsyncDetector("127.0.0.1:8001", "garments") as detector:
            found = await detector.detect("street.jpg", confidence=0.4)
    """

    def __init__(
        self, url: str = DEFAULT_URL, model: str = "garments", *, timeout_s: float | None = 30.0, version: str = ""
    ) -> None:
        """Prepares a detector without connecting.

        Args:
            url: `host:port` of the server's gRPC port.
            model: A detection model, or a raw model whose artefact carries detection metadata.
            timeout_s: Longest wait for one answer; None waits for ever.
            version: A positive integer, or a label of the model (`stable`); empty means the highest that is ready.

        Raises:
            InvalidRequest: The address is none.
        """
        self.url = url
        self.model = model
        self.version = version
        self.timeout_s = timeout_s
        self._channel = insecure_channel(parse_url(url), OPTIONS)
        self._service = DetectionServiceStub(self._channel)
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model}{'/' + self.version if self.version else ''} at {self.url}>"

    async def close(self) -> None:
        """Closes the connection. Calls that are under way end with `RequestCancelled`."""
        self._closed = True
        await self._channel.close()

    async def detect(
        self,
        image: ImageSource,
        *,
        confidence: float | None = None,
        iou: float | None = None,
        classes: Sequence[str | int] | None = None,
        max_detections: int | None = None,
        channels: Channels = "RGB",
        timeout_s: float | None = None,
    ) -> Detections:
        """Finds the objects on one image.

        Args:
            image: A path (the file is sent as it is), the bytes of a JPEG, PNG, WebP or BMP file, an array
                (height, width, 3) of uint8, or a Pillow image.
            confidence: Detections with a lower score are left out; 0 to 1. None leaves it to the model, as do the
                other options.
            iou: Of two boxes of one class that overlap more than this, the one with the lower score is left out.
            classes: Only these, by name or id.
            max_detections: At most so many, best first.
            channels: Order of the last axis if `image` is an array.
            timeout_s: Longest wait; None takes the detector's.

        Raises:
            PasarelaError: One of its kinds says what went wrong.
        """
        begun_ns = time.monotonic_ns()
        options = DetectOptions.of(confidence=confidence, iou=iou, classes=classes, max_detections=max_detections)
        message = await off_loop(_encoded, image, channels)
        if self._closed:
            raise RequestCancelled(f"{self!r} is closed", model=self.model)
        request = encode_request(message, options, model=self.model, version=self.version)
        try:
            response = await self._service.Detect(request, timeout=self.timeout_s if timeout_s is None else timeout_s)
        except grpc.RpcError as error:
            raise self._convert(error) from error
        return decode_response(response, begun_ns=begun_ns)

    def _convert(self, error: grpc.RpcError) -> PasarelaError:
        return from_rpc_error(error, url=self.url, model=self.model)


def _encoded(image: ImageSource, channels: Channels) -> pb.Image:
    return encode_image(image, channels=channels)
