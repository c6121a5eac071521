"""A front's side of detection: prepares images, has the back run the network on them, reads the answers."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf, prod

import numpy as np
from typing_extensions import override

from pasarela_proto import detection_pb2 as pb
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import (
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    QueueFull,
    RequestCancelled,
    ServerStopping,
    Unsupported,
)
from pasarela_server.frontends.arena import Arena, ArenaFull
from pasarela_server.frontends.facts import Facts
from pasarela_server.frontends.failures import name_of, named_error
from pasarela_server.frontends.link import Answer, Cancel, Done, Failure, Known, Lookup, Message, Noted, Refused, Submit
from pasarela_server.frontends.memory import SharedMemory, describe, parse_layout
from pasarela_server.frontends.timings import pack, unpack
from pasarela_server.repository.pipeline import DetectionPipeline
from pasarela_server.repository.result import DetectOverrides, ImageSource
from pasarela_server.request import Timings
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection import ImageService, encode_reply
from pasarela_server.rpc.detection_codec import decode_image_source, decode_options
from pasarela_server.rpc.status import FailureTable
from pasarela_server.rpc.version import parse_version
from pasarela_server.scheduling.batch import BatchAnswer
from pasarela_server.tensor import Array

_ENDED = "the server has ended; try another one, or again later"


class _Outdated(Exception):
    """The image was prepared by facts that hold no more."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(f"model {facts.model!r} has changed")
        self.facts = facts


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request."""

    model: str
    version: str
    id: str
    received_ns: int


class FrontImageService(ImageService):
    """Answers images by the models of the back. Used from the event loop only."""

    def __init__(
        self,
        post: Callable[[Message], None],
        memory: SharedMemory,
        pool: Executor,
        calls: OpenCalls,
        failures: FailureTable,
    ) -> None:
        """Builds the service.

        Args:
            post: Sends the back a message, from any thread.
            memory: Shared with the back.
            pool: Runs the work on pixels. Its owner shuts it down.
            calls: The door.
            failures: What clients are told of errors.
        """
        super().__init__(calls, failures)
        self.post = post
        self.memory = memory
        self.arena = Arena(memory.size)
        self._pool = pool
        self._sequences = itertools.count()
        self._asked: dict[int, asyncio.Future[Facts | None]] = {}
        """Lookups and refusals without an answer yet."""
        self._submitted: dict[int, _Attempt] = {}
        """Images without an answer yet; written by threads of the pool, too."""
        self._facts: dict[tuple[str, str], Facts] = {}
        """By model and version as requests name them."""
        self._output_bytes: dict[str, int] = {}
        """The largest output that was seen, by model."""
        self._gone = False

    @override
    async def answer(self, request: pb.DetectRequest, remaining_s: float | None) -> pb.DetectResponse:
        received_ns = time.monotonic_ns()
        asked = _Asked(request.model_name, request.model_version, request.id, received_ns)
        try:
            source = decode_image_source(f"model '{asked.model}'", request.image)
            overrides = decode_options(request.options)
        except InvalidRequest as error:
            await self._refuse(asked, error, at_the_door=True)
            raise
        facts = self._facts.get((asked.model, asked.version)) or await self._look_up(asked)
        deadline_s = None if remaining_s is None else received_ns / 1e9 + remaining_s
        while True:
            try:
                return await self._detect(asked, facts, source, overrides, deadline_s)
            except _Outdated as outdated:
                facts = self._remember(asked, outdated.facts)

    async def _detect(
        self,
        asked: _Asked,
        facts: Facts,
        source: ImageSource,
        overrides: DetectOverrides,
        deadline_s: float | None,
    ) -> pb.DetectResponse:
        """One attempt.

        Raises:
            _Outdated: Another is to be made, by other facts.
        """
        attempt: _Attempt | None = None
        try:
            attempt = await self._begin(asked, facts)
            bound = attempt
            pipeline = DetectionPipeline(
                facts.model, facts.version, lambda: nullcontext(bound), self._pool, facts.defaults, facts.limits
            )
            result = await pipeline.detect(source, overrides, deadline_s)
            reply, timings = encode_reply(result, asked.id, asked.received_ns)
            attempt.end(None, timings)
        except BaseException as error:
            known = attempt is not None and attempt.end(error)
            if isinstance(error, ModelNotFound | ModelUnavailable | InvalidRequest):
                self._facts.pop((asked.model, asked.version), None)
            if not known:
                await self._refuse(asked, error, at_the_door=False)
            raise
        return reply

    async def _begin(self, asked: _Asked, facts: Facts) -> _Attempt:
        """Room for an image and for the answer to it."""
        size = max(_input_bytes(facts.detector), self._output_bytes.get(facts.model, 0))
        if size > self.arena.size:
            raise Unsupported(
                f"model {asked.model!r}: an image takes {size} bytes, more than the {self.arena.size} a front has; "
                "start the server with --frontends 0"
            )
        most = facts.limits.max_waiting
        try:
            offset = await self.arena.reserve(size, most)
        except ArenaFull as full:
            raise QueueFull(
                f"model {asked.model!r}: {most} images wait already, which is its limit; send fewer at a time"
            ) from full
        return _Attempt(self, asked, facts, offset, size)

    def submit(self, attempt: _Attempt) -> int:
        """Registers an attempt before its image is sent; its number. Called on the pool."""
        sequence = next(self._sequences) & 0xFFFFFFFF
        self._submitted[sequence] = attempt
        return sequence

    async def _look_up(self, asked: _Asked) -> Facts:
        parse_version(asked.model, asked.version)
        sequence, told = self._ask()
        self.post(Lookup(sequence, asked.received_ns, asked.model, asked.version, asked.id))
        try:
            facts = await told
        except asyncio.CancelledError as cancelled:
            await self._refuse(asked, cancelled, at_the_door=True)
            raise
        assert facts is not None
        return self._remember(asked, facts)

    async def _refuse(self, asked: _Asked, error: BaseException, *, at_the_door: bool) -> None:
        """Has the back count a request that failed here.

        Raises:
            ServingError: The back has a reason that comes before this one.
        """
        sequence, told = self._ask()
        self.post(
            Refused(
                sequence,
                asked.received_ns,
                int(at_the_door),
                asked.model,
                asked.version,
                asked.id,
                name_of(error),
            )
        )
        if isinstance(error, Exception):
            await told
        else:  # the client has gone, and waits for no reason
            told.cancel()

    def _ask(self) -> tuple[int, asyncio.Future[Facts | None]]:
        if self._gone:
            raise ServerStopping(_ENDED)
        sequence = next(self._sequences) & 0xFFFFFFFF
        told: asyncio.Future[Facts | None] = asyncio.get_running_loop().create_future()
        self._asked[sequence] = told
        return sequence, told

    def _remember(self, asked: _Asked, facts: Facts) -> Facts:
        self._facts[asked.model, asked.version] = facts
        return facts

    def received(self, message: Message) -> bool:
        """Takes what the back says; False if it is not for this service."""
        match message:
            case Answer():
                self._output_bytes_seen(message)
                self._submitted.pop(message.sequence).answered(message)
            case Failure():
                self._resolve(message.sequence, named_error(message.error, message.message))
            case Known():
                facts = Facts.from_text(message.text)
                if message.sequence in self._submitted:
                    self._submitted.pop(message.sequence).failed(_Outdated(facts))
                else:
                    self._resolve(message.sequence, facts)
            case Noted():
                self._resolve(message.sequence, None)
            case _:
                return False
        return True

    def _output_bytes_seen(self, message: Answer) -> None:
        if message.output:
            model = self._submitted[message.sequence].facts.model
            self._output_bytes[model] = max(len(message.output), self._output_bytes.get(model, 0))

    def _resolve(self, sequence: int, told: Facts | Exception | None) -> None:
        attempt = self._submitted.pop(sequence, None)
        if attempt is not None:
            assert isinstance(told, Exception)
            attempt.failed(told)
            return
        waiting = self._asked.pop(sequence)
        if waiting.done():
            return
        if isinstance(told, Exception):
            waiting.set_exception(told)
        else:
            waiting.set_result(told)

    def lost(self) -> None:
        """Fails everything that waits: the back has gone."""
        self._gone = True
        for sequence in (*self._submitted, *self._asked):
            self._resolve(sequence, ServerStopping(_ENDED))


class _Attempt:
    """One image on its way through the back, and the raw model as the pipeline sees it.

    Room in the arena is given back when neither side uses it any more: the back, once it has answered; the front, once
    `end` was called. A thread of the pool may still read it then, and what it makes of it is thrown away.
    """

    def __init__(self, service: FrontImageService, asked: _Asked, facts: Facts, offset: int, size: int) -> None:
        self.facts = facts
        self._service = service
        self._asked = asked
        self._offset = offset
        self._size = size
        self._lock = threading.Lock()
        self._sequence: int | None = None
        self._in_back = False
        self._told = False
        """True if the back has answered with a failure: it has counted it."""
        self._ended = False
        self._answer: Future[BatchAnswer] = Future()

    def require_detector(self) -> YoloDetector:
        """See `pipeline.RawModel`."""
        return self.facts.detector

    @property
    def images(self) -> None:
        """None: the arena bounds how many images are prepared."""
        return

    def submit(
        self, inputs: Mapping[str, Array], rows: int, deadline_monotonic_s: float | None, priority: int = 0
    ) -> Future[BatchAnswer]:
        """Lays the image into the arena and sends word of it. Called on the pool, once."""
        array = inputs[self.facts.detector.input_name]
        if array.nbytes > self._size:
            raise ValueError(f"an image of {array.nbytes} bytes does not fit into its room of {self._size}")
        with self._lock:
            if self._ended:
                raise RequestCancelled("the request was given up before it was submitted")
            self._in_back = True
        asked, service = self._asked, self._service
        service.memory.write(self._offset, array)
        self._sequence = sequence = service.submit(self)
        self._answer.add_done_callback(self._cancel)
        service.post(
            Submit(
                sequence,
                self.facts.number,
                self._offset,
                self._size,
                rows,
                priority,
                asked.received_ns,
                inf if deadline_monotonic_s is None else deadline_monotonic_s,
                asked.model,
                asked.version,
                asked.id,
                describe(array),
            )
        )
        return self._answer

    def _cancel(self, answer: Future[BatchAnswer]) -> None:
        if answer.cancelled() and self._sequence is not None:
            self._service.post(Cancel(self._sequence))

    def answered(self, message: Answer) -> None:
        """The back has computed."""
        self._leave_back()
        if self._ended:
            self._done(RequestCancelled.__name__, b"")
            return
        if self._answer.set_running_or_notify_cancel():
            output = (
                _array(message.output, message.layout)
                if message.output
                else self._service.memory.view(self._offset, message.layout)
            )
            outputs = {self.facts.detector.output_name: output}
            self._answer.set_result(BatchAnswer(outputs, unpack(message.timings)))

    def failed(self, error: Exception) -> None:
        """The back has refused, or failed; or the facts were outdated."""
        self._told = True
        self._leave_back()
        if self._answer.set_running_or_notify_cancel():
            self._answer.set_exception(error)

    def end(self, error: BaseException | None, timings: Timings | None = None) -> bool:
        """The front needs it no more.

        Args:
            error: Why the request has failed.
            timings: Of a request that has not.

        Returns:
            Whether the back counts the request: it has seen it.
        """
        with self._lock:
            self._ended = True
            in_back = self._in_back
        if self._sequence is None and not in_back:
            self._service.arena.free(self._offset)
            return False
        if not in_back:
            self._service.arena.free(self._offset)
            if not self._told:
                self._done("" if error is None else name_of(error), b"" if timings is None else pack(timings))
        return True

    def _leave_back(self) -> None:
        with self._lock:
            self._in_back = False
            ended = self._ended
        if ended:
            self._service.arena.free(self._offset)

    def _done(self, error: str, timings: bytes) -> None:
        assert self._sequence is not None
        self._service.post(Done(self._sequence, error, timings))


def _input_bytes(detector: YoloDetector) -> int:
    """Of the array that preprocessing makes of an image."""
    itemsize = 1 if detector.takes_pixels else detector.datatype.itemsize
    assert itemsize is not None
    return detector.rows * 3 * prod(detector.image_size) * itemsize


def _array(contents: bytes, layout: str) -> Array:
    dtype, shape, _ = parse_layout(layout)
    return np.frombuffer(contents, dtype).reshape(shape)
