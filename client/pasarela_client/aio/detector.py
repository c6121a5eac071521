"""The detector: images in, detections out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pasarela_client.addresses import DEFAULT_URL
from pasarela_client.aio.concurrency import AnyIterable, off_loop
from pasarela_client.aio.endpoints import AsyncEndpoints
from pasarela_client.aio.many import AsyncBulkWork, AsyncManyResults
from pasarela_client.aio.stream import AsyncDetectionStream
from pasarela_client.bulk import Pace
from pasarela_client.codec import decode_response, encode_request
from pasarela_client.connection import Connection, Tls, Token
from pasarela_client.detections import Detections
from pasarela_client.errors import InvalidRequest, ServerUnreachable, named
from pasarela_client.frame import Frame, as_frame
from pasarela_client.images import Channels, ImageSource, encode_image
from pasarela_client.options import DetectOptions
from pasarela_client.progress import Wanted
from pasarela_client.request_ids import new_request_id
from pasarela_client.scope import Scope
from pasarela_client.streaming.requests import StreamRequests
from pasarela_client.streaming.rules import Policy, StreamRules
from pasarela_client.tracing import begin_span, current_trace
from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceStub


class AsyncDetector:
    """Asks one model for detections, of one server or of several that have it.

    ::

        async with AsyncDetector("127.0.0.1:8001", "garments") as detector:
            found = await detector.detect("street.jpg", confidence=0.4)
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
        self._endpoints = AsyncEndpoints(url, settings, DetectionServiceStub)
        self._names: Mapping[int, str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model}{'/' + self.version if self.version else ''} at {self.url}>"

    @property
    def url(self) -> str:
        """Where the servers are, with commas between."""
        return self._endpoints.url

    async def close(self) -> None:
        """Closes the connections. Calls that are under way end with `RequestCancelled`."""
        await self._endpoints.close()

    @property
    async def names(self) -> Mapping[int, str]:
        """Class id to name of everything the model can find, asked for once; empty if the model does not say.

        Loads the messages of the Open Inference Protocol, see `pasarela_client.control`.

        Raises:
            PasarelaError: The server did not say.
        """
        if self._names is None:
            self._names = await self._ask_names()
        return self._names

    async def _ask_names(self) -> Mapping[int, str]:
        """The names, of the first server that can be reached."""
        from pasarela_client.aio.control import AsyncServer

        tried = set[int]()
        while True:
            endpoint = self._endpoints.pick(tried, model=self.model)
            url = f"grpcs://{endpoint.url}" if self._endpoints.is_secure(endpoint) else endpoint.url
            try:
                async with AsyncServer(url, timeout_s=self.timeout_s, connection=self._endpoints.connection) as server:
                    return (await server.describe(self.model, self.version)).class_names
            except ServerUnreachable as error:
                self._endpoints.report(endpoint, error)
                tried.add(endpoint.index)
                if len(tried) == len(self._endpoints):
                    raise

    async def detect(
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
        return await self._detect(as_frame(image, channels), options, self._seconds(timeout_s), request_id)

    def detect_stream(
        self,
        frames: AnyIterable[Frame | ImageSource],
        *,
        window: int = 8,
        policy: Policy | None = None,
        buffer: int = 1,
        deadline_s: float | None = None,
        reconnect_s: float = 30.0,
        confidence: float | None = None,
        iou: float | None = None,
        classes: Sequence[str | int] | None = None,
        max_detections: int | None = None,
        channels: Channels = "RGB",
        timeout_s: float | None = None,
        priority: int | None = None,
    ) -> AsyncDetectionStream:
        """Finds the objects on one image after the other, with several under way at a time.

        For each frame, in order, either its `Detections` or a `FrameError` comes out: an error for one frame is a
        value, and the stream goes on. Iterate over what you get; in a `with` block, leaving it cancels what is under
        way at once. Its `counts` say what became of the frames.

        ::

            async with detector.detect_stream(camera) as results:
                async for result in results:
                    print(result.frame_index, len(result) if result.ok else result.error)

        Args:
            frames: Images in any form that `detect` takes, or `Frame`s; may be endless. Consumed beside you.
            window: How many frames may be under way, or answered and not taken by you, at a time.
            policy: `"block"` pulls a frame only when there is room for it. `"drop-oldest"` pulls frames as fast as
                they come and leaves out those that grow old before there is room: they come out as `FrameDropped`.
                None means `"drop-oldest"` for sources that are live, `"block"` for all others.
            buffer: How many of the newest frames wait for room under `"drop-oldest"`.
            deadline_s: After so many seconds from the moment that a frame was pulled its answer is worth nothing: it
                is not sent any more, the server gives it up, and it comes out as `DeadlineExpired`.
            reconnect_s: How long to try again when the connection breaks or the server stops; 0 never. What was under
                way is sent again under `"block"`, and lost under `"drop-oldest"`.
            confidence: As in `detect`; the options hold for the whole stream.
            iou: As in `detect`.
            classes: As in `detect`.
            max_detections: As in `detect`.
            channels: Order of the last axis of arrays that are no `Frame`.
            timeout_s: Longest silence of the server while it owes an answer; None takes the detector's.
            priority: As in `detect`.

        Returns:
            The results, to be iterated. Nothing is pulled or sent before the first one is asked for. What the source
            raises is raised there, after the results of the frames before; so is what ends the stream as a whole.

        Raises:
            InvalidRequest: An argument is out of its range.
            TypeError: `frames` cannot be iterated.
        """
        options = DetectOptions.of(
            confidence=confidence, iou=iou, classes=classes, max_detections=max_detections, priority=priority
        )
        rules = StreamRules.of(
            frames,
            window=window,
            policy=policy,
            buffer=buffer,
            deadline_s=deadline_s,
            timeout_s=self._seconds(timeout_s),
            reconnect_s=reconnect_s,
        )
        requests = StreamRequests(self.model, self.version, options, channels)
        return AsyncDetectionStream(frames, rules, requests, self._endpoints)

    def detect_many(
        self,
        images: AnyIterable[Frame | ImageSource],
        *,
        concurrency: int | None = None,
        ordered: bool = True,
        progress: Wanted = None,
        confidence: float | None = None,
        iou: float | None = None,
        classes: Sequence[str | int] | None = None,
        max_detections: int | None = None,
        channels: Channels = "RGB",
        timeout_s: float | None = None,
        priority: int | None = None,
    ) -> AsyncManyResults:
        """Finds the objects on many images, with as many under way at a time as the servers take.

        For each image either its `Detections` or a `FrameError` comes out; `frame_index` is its position among the
        images, `origin` its path. Files are read when their turn comes. Images that a full queue turns away are sent
        again, fewer at a time, and so are those of servers that are gone for a moment, until their `timeout_s` is over.

        ::

            async with detector.detect_many(paths, progress=True) as results:
                async for result in results:
                    print(result.origin, len(result) if result.ok else result.error)

        Args:
            images: In any form that `detect` takes, or `Frame`s; may be endless.
            concurrency: How many are under way at most; None begins with 16 for each server and finds out.
            ordered: Whether results come in the order of the images, or each as soon as it is there.
            progress: True shows a bar on stderr (needs tqdm), False none, None one if a person watches and tqdm is
                there. A function is told the `Progress` after each image.
            confidence: As in `detect`; the options hold for all images.
            iou: As in `detect`.
            classes: As in `detect`.
            max_detections: As in `detect`.
            channels: Order of the last axis of arrays that are no `Frame`.
            timeout_s: The time of one image, from its first try; None takes the detector's.
            priority: As in `detect`.

        Returns:
            The results, to be iterated. Nothing begins before the first one is asked for. Raised there are what
            `images` raises, after the results before it, and what keeps the very first images from being answered
            because it would keep all of them from it: no such model, no server, no access.

        Raises:
            InvalidRequest: An argument is out of its range, or `images` is a single one.
            TypeError: `images` cannot be iterated.
        """
        if isinstance(images, str | Path | bytes | bytearray | memoryview):
            raise InvalidRequest(
                f"detect_many takes many images, in a list for example, not one {type(images).__name__}"
            )
        options = DetectOptions.of(
            confidence=confidence, iou=iou, classes=classes, max_detections=max_detections, priority=priority
        )

        parent = current_trace()

        async def detect(frame: Frame, index: int, timeout_s: float | None, scope: Scope) -> Detections:
            return await self._detect(
                frame, options, timeout_s, frame_index=index, scope=scope, retry=False, parent=parent
            )

        work = AsyncBulkWork(
            images,
            detect,
            self._endpoints,
            pace=Pace.of(concurrency, servers=len(self._endpoints)),
            ordered=ordered,
            channels=channels,
            timeout_s=self._seconds(timeout_s),
            progress=progress,
        )
        return AsyncManyResults(work)

    def _seconds(self, timeout_s: float | None) -> float | None:
        return self.timeout_s if timeout_s is None else timeout_s

    async def _detect(
        self,
        frame: Frame,
        options: DetectOptions,
        timeout_s: float | None,
        request_id: str = "",
        *,
        frame_index: int | None = None,
        scope: Scope | None = None,
        retry: bool = True,
        parent: Any = None,
    ) -> Detections:
        begun_ns = time.monotonic_ns()
        request_id = request_id or new_request_id()
        with named(self.model, request_id):
            # Bytes are at hand: they are not worth a change of threads.
            image = _encoded(frame) if isinstance(frame.image, bytes) else await off_loop(_encoded, frame)
        request = encode_request(image, options, model=self.model, version=self.version, request_id=request_id)
        span = begin_span("Detect", url=self.url, model=self.model, request_id=request_id, parent=parent)
        with span:
            response = await self._endpoints.ask(
                "Detect",
                request,
                timeout_s=timeout_s,
                model=self.model,
                request_id=request_id,
                compressed=self._endpoints.connection.compress_arrays and image.HasField("raw"),
                metadata=span.metadata,
                scope=scope,
                retry=retry,
            )
        return decode_response(response, frame_index=frame_index, begun_ns=begun_ns, frame=frame)


def _encoded(frame: Frame) -> pb.Image:
    return encode_image(frame.image, channels=frame.channels)
