"""One image on its way through the back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from math import inf
from typing import Protocol

import numpy as np

from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import RequestCancelled
from pasarela_server.frontends import found as found_bytes
from pasarela_server.frontends.asked import Asked
from pasarela_server.frontends.facts import Facts
from pasarela_server.frontends.failures import name_of
from pasarela_server.frontends.link import Answer, Cancel, Done, Message, Submit
from pasarela_server.frontends.timings import pack, unpack
from pasarela_server.processes.memory import SharedMemory, describe, parse_layout
from pasarela_server.request import Found, Timings
from pasarela_server.scheduling.batch import BatchAnswer
from pasarela_server.tensor import Array


class Outdated(Exception):
    """The image was prepared by facts that hold no more."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(f"model {facts.model!r} has changed")
        self.facts = facts


class Sender(Protocol):
    """The part of the back that an attempt uses; `back.Back` is one."""

    @property
    def memory(self) -> SharedMemory:
        """Shared with the back."""
        ...

    def post(self, message: Message, /) -> None:
        """Sends it a message, from any thread."""
        ...

    def register(self, attempt: Attempt) -> int:
        """The number under which an image is sent."""
        ...

    def free(self, offset: int) -> None:
        """Gives room back."""
        ...

    def free_soon(self, offset: int) -> None:
        """The same, from any thread."""
        ...


class Attempt:
    """One image on its way through the back, and the raw model as the pipeline sees it.

    Room in the arena is given back when neither side uses it any more: the back, once it has answered; the front, once
    `end` was called and no thread of the pool writes to it. One may still read it then, and what it makes of it is
    thrown away.
    """

    def __init__(self, back: Sender, asked: Asked, facts: Facts, offset: int, size: int) -> None:
        self.facts = facts
        self._back = back
        self._asked = asked
        self._offset = offset
        self._size = size
        self._lock = threading.Lock()
        self._sequence: int | None = None
        self._in_back = False
        self._written = False
        """True while a thread of the pool writes to the room."""
        self._laid: Array | None = None
        """What was written there."""
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

    @contextlib.contextmanager
    def room(self) -> Iterator[Array]:
        """Where the network's input is to be made: nobody else uses it while the block runs, on the pool.

        Raises:
            RequestCancelled: The request was given up.
        """
        detector, back = self.facts.detector, self._back
        self._begin_writing()
        try:
            self._laid = back.memory.place(self._offset, detector.input_dtype, detector.input_shape)
            yield self._laid
        finally:
            with self._lock:
                self._written = False
                ended = self._ended
            if ended:
                back.free_soon(self._offset)

    def _begin_writing(self) -> None:
        with self._lock:
            if self._ended:
                raise RequestCancelled("the request was given up before it was prepared")
            self._written = True

    def submit(
        self, inputs: Mapping[str, Array], rows: int, deadline_monotonic_s: float | None, priority: int = 0
    ) -> Future[BatchAnswer]:
        """Lays the image into the arena, unless it was made there, and sends word of it. Called on the pool, once."""
        array = inputs[self.facts.detector.input_name]
        if array.nbytes > self._size:
            raise ValueError(f"an image of {array.nbytes} bytes does not fit into its room of {self._size}")
        with self._lock:
            if self._ended:
                raise RequestCancelled("the request was given up before it was submitted")
            self._in_back = True
        asked, back = self._asked, self._back
        if array is not self._laid:
            back.memory.write(self._offset, array)
        self._laid = None
        self._sequence = sequence = back.register(self)
        self._answer.add_done_callback(self._cancel)
        back.post(
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
                asked.caller,
                describe(array),
            )
        )
        return self._answer

    def _cancel(self, answer: Future[BatchAnswer]) -> None:
        if answer.cancelled() and self._sequence is not None:
            self._back.post(Cancel(self._sequence))

    def answered(self, message: Answer) -> None:
        """The back has computed."""
        self._leave_back()
        if self._ended:
            self._done(RequestCancelled.__name__)
            return
        if self._answer.set_running_or_notify_cancel():
            output = (
                _array(message.output, message.layout)
                if message.output
                else self._back.memory.view(self._offset, message.layout)
            )
            outputs = {self.facts.detector.output_name: output}
            self._answer.set_result(BatchAnswer(outputs, unpack(message.timings)))

    def failed(self, error: Exception) -> None:
        """The back has refused, or failed; or the facts were outdated."""
        self._told = True
        self._leave_back()
        if self._answer.set_running_or_notify_cancel():
            self._answer.set_exception(error)

    def end(self, error: BaseException | None, timings: Timings | None = None, found: Found | None = None) -> bool:
        """The front needs it no more.

        Args:
            error: Why the request has failed.
            timings: Of a request that has not.
            found: What was found by one that has not.

        Returns:
            Whether the back counts the request: it has seen it.
        """
        with self._lock:
            self._ended = True
            in_back, written = self._in_back, self._written
        if written:  # whoever writes gives the room back
            return False
        if self._sequence is None and not in_back:
            self._back.free(self._offset)
            return False
        if not in_back:
            self._back.free(self._offset)
            if not self._told:
                self._done(
                    "" if error is None else name_of(error),
                    b"" if timings is None else pack(timings),
                    b"" if found is None else found_bytes.pack(found),
                )
        return True

    def _leave_back(self) -> None:
        with self._lock:
            self._in_back = False
            ended = self._ended
        if ended:
            self._back.free(self._offset)

    def _done(self, error: str, timings: bytes = b"", found: bytes = b"") -> None:
        assert self._sequence is not None
        self._back.post(Done(self._sequence, error, timings, found))


def _array(contents: bytes, layout: str) -> Array:
    dtype, shape, _ = parse_layout(layout)
    return np.frombuffer(contents, dtype).reshape(shape)
