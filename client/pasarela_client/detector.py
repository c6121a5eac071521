"""The detector: images in, detections out."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import grpc

from pasarela_client.channel import DEFAULT_URL, open_channel
from pasarela_client.codec import decode_frame, decode_response, encode_frame, encode_request
from pasarela_client.detections import Detections
from pasarela_client.errors import InvalidRequest, PasarelaError, RequestCancelled, from_rpc_error
from pasarela_client.frames import FrameResult
from pasarela_client.images import Channels, ImageSource, encode_image
from pasarela_client.options import DetectOptions
from pasarela_client.stream import StreamCall, run_stream
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub


class Detector:
    """Asks one model of one server for detections.

    One connection for everything; threads may share a detector. Nothing connects before the first call, and a
    connection that broke is made anew by the next call.

    ::

        with Detector("127.0.0.1:8001", "garments") as detector:
            found = detector.detect("street.jpg", confidence=0.4)
            for result in detector.stream(paths):
                ...
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
        self._channel = open_channel(url)
        self._service = DetectionServiceStub(self._channel)
        self._closed = False
        self._names: Mapping[int, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Detector {self.model}{'/' + self.version if self.version else ''} at {self.url}>"

    def close(self) -> None:
        """Closes the connection. Calls and streams that are under way end with `RequestCancelled`."""
        self._closed = True
        self._channel.close()

    @property
    def names(self) -> Mapping[int, str]:
        """Class id to name of everything the model can find, asked for once; empty if the model does not say.

        Loads the messages of the Open Inference Protocol, see `pasarela_client.models`.

        Raises:
            PasarelaError: The server did not say.
        """
        if self._names is None:
            from pasarela_client.models import describe_model

            described = describe_model(self.model, self.version, url=self.url, timeout_s=self.timeout_s)
            self._names = described.class_names
        return self._names

    def detect(
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
        request = encode_request(
            encode_image(image, channels=channels), options, model=self.model, version=self.version
        )
        self._check_open()
        try:
            response = self._service.Detect(request, timeout=self.timeout_s if timeout_s is None else timeout_s)
        except grpc.RpcError as error:
            raise self._convert(error) from error
        return decode_response(response, begun_ns=begun_ns)

    def stream(
        self,
        images: Iterable[ImageSource],
        *,
        window: int = 8,
        confidence: float | None = None,
        iou: float | None = None,
        classes: Sequence[str | int] | None = None,
        max_detections: int | None = None,
        channels: Channels = "RGB",
        timeout_s: float | None = None,
    ) -> Generator[FrameResult, None, None]:
        """Finds the objects on one image after the other, with several under way at a time.

        For each image, in order, either its `Detections` or a `FrameError` comes out; both say by `frame_index` which
        image they belong to. Leaving the loop cancels what is under way; if you keep the generator, close it.

        Args:
            images: May be endless. Consumed on a thread of its own, at most `window` images ahead of the results.
                What it raises is raised here, after the results of the images before.
            window: How many images may be without a result at a time.
            confidence: As in `detect`; the options hold for the whole stream.
            iou: As in `detect`.
            classes: As in `detect`.
            max_detections: As in `detect`.
            channels: As in `detect`.
            timeout_s: Longest silence of the server while it owes an answer; None takes the detector's.

        Raises:
            PasarelaError: The stream as a whole broke. What concerns one image comes out as its `FrameError`.
        """
        if window < 1:
            raise InvalidRequest(f"window is at least 1, not {window}")
        options = DetectOptions.of(confidence=confidence, iou=iou, classes=classes, max_detections=max_detections)
        model, version = self.model, self.version
        begun_ns: dict[int, int] = {}

        def encode(frame_index: int, image: ImageSource) -> pb.StreamDetectRequest:
            now_ns = time.monotonic_ns()
            request = encode_frame(
                frame_index, encode_image(image, channels=channels), options, model=model, version=version
            )
            begun_ns[frame_index] = now_ns
            return request

        def decode(response: pb.StreamDetectResponse) -> FrameResult:
            return decode_frame(response, url=self.url, model=model, begun_ns=begun_ns.pop(response.frame_index, None))

        return run_stream(
            iter(images),
            encode=encode,
            decode=decode,
            connect=self._connect,
            convert=self._convert,
            window=window,
            timeout_s=self.timeout_s if timeout_s is None else timeout_s,
        )

    def _connect(self, requests: Iterator[pb.StreamDetectRequest]) -> StreamCall:
        self._check_open()
        return self._service.StreamDetect(requests)

    def _check_open(self) -> None:
        if self._closed:
            raise RequestCancelled(f"{self!r} is closed", model=self.model)

    def _convert(self, error: grpc.RpcError) -> PasarelaError:
        return from_rpc_error(error, url=self.url, model=self.model)
