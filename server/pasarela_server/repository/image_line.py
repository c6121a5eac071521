"""Images that wait to be decoded: only so many are decoded ahead as the model's instances need."""

from __future__ import annotations

import functools
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from pasarela_server.errors import DeadlineExpired, QueueFull, ServerStopping, ServingError
from pasarela_server.scheduling.batch import Entry
from pasarela_server.scheduling.estimate import UNKNOWN, DurationEstimate
from pasarela_server.scheduling.occupancy import Outlook
from pasarela_server.scheduling.policy import Waiting
from pasarela_server.scheduling.queue import QueuePolicy, RequestQueue


class Work(Protocol):
    """What waits; `repository.relay.Relay` is one."""

    @property
    def done(self) -> Future[Any]:
        """Its end, however it comes."""
        ...

    def begin(self) -> None:
        """Its turn has come. Must neither block nor raise."""
        ...

    def refuse(self, error: ServingError) -> None:
        """Its turn will not come."""
        ...


class ImageLine:
    """Images wait here as they came, and the processor's time goes to those that will be answered.

    Their number is bounded, the more urgent go first and queue policies hold, as in the model's own queue. An image
    whose deadline cannot be met is refused when it comes; one that can no longer make it, before it is decoded.
    Thread-safe.
    """

    def __init__(
        self,
        name: str,
        levels: Sequence[QueuePolicy],
        default_level: int,
        places: int,
        decoders: int,
        outlook: Callable[[int, int], Outlook],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts empty.

        Args:
            name: The raw model's name, for messages.
            levels: How images wait, by priority level.
            default_level: Of images that name none.
            places: Images that may be under way at once: being decoded, waiting for an instance, or executed.
            decoders: Images that can be decoded side by side.
            outlook: What an instance offers an image of a priority that has so many others before it.
            clock: A monotonic clock in seconds.
        """
        self._queue = RequestQueue(name, levels, default_level)
        self._name = name
        self._places = places
        self._decoders = decoders
        self._outlook = outlook
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[Entry, tuple[int, Work]] = {}
        """The work and its number."""
        self._tickets: dict[int, int] = {}
        """Of what waits, by number."""
        self._under_way: set[int] = set()
        self._unprepared: set[int] = set()
        """Those under way that the model's queue does not know yet."""
        self._prepare, self._execute, self._finish = DurationEstimate(), UNKNOWN, DurationEstimate()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    def number(self) -> int:
        """A number for an image that is about to come."""
        return next(self._numbers)

    def enter(self, number: int, work: Work, model: str, deadline_s: float | None, priority: int, most: int) -> None:
        """Lets an image wait for its turn, which may come at once.

        Args:
            number: The image's, by `number`.
            work: What to do with it.
            model: Whom the client asked, for messages.
            deadline_s: When the answer is of no use any more, on the line's clock.
            priority: A level.
            most: Images that may wait.

        Raises:
            QueueFull: Too many images wait.
            DeadlineExpired: The deadline has passed, or is too near for what comes before the image.
            ServerStopping: The line was closed.
        """
        now_s = self._clock()
        waiting = Waiting(1, None, now_s, math.inf if deadline_s is None else deadline_s)
        with self._lock:
            dropped = self._sweep(now_s)
            refusal = self._refusal(model, waiting.deadline_s - now_s, priority, most, now_s)
            if refusal is None:
                entry = Entry({}, waiting, priority)
                self._tickets[number] = self._queue.append(entry)
                self._waiting[entry] = (number, work)
        _refuse(dropped)
        if refusal is not None:
            raise refusal
        work.done.add_done_callback(functools.partial(self._left, number))
        self._advance()

    def prepared(self, number: int, seconds: float) -> None:
        """An image goes to the model's queue now; making the network's input of it took so long."""
        with self._lock:
            self._unprepared.discard(number)
            self._prepare.add(seconds, self._clock())

    def finished(self, seconds: float) -> None:
        """Detections were made of an answer; it took so long."""
        with self._lock:
            self._finish.add(seconds, self._clock())

    def answer_by_s(self, deadline_s: float | None) -> float | None:
        """When the model has to have answered for the detections to be there before a deadline."""
        if deadline_s is None:
            return None
        with self._lock:
            return deadline_s - self._finish.span(self._clock()).least_s

    def close(self) -> None:
        """Refuses what waits and what comes."""
        with self._lock:
            self._closed = True
            waiting = [work for _, work in self._waiting.values()]
            self._queue.clear()
            self._waiting.clear()
            self._tickets.clear()
        for work in waiting:
            work.refuse(self._stopping())

    def _left(self, number: int, _: Future[Any]) -> None:
        """An image has come to its end, and another's turn may have come."""
        with self._lock:
            ticket = self._tickets.pop(number, None)
            entry = None if ticket is None else self._queue.discard(ticket)
            if entry is not None:
                del self._waiting[entry]
            self._unprepared.discard(number)
            was_under_way = number in self._under_way
            self._under_way.discard(number)
        if was_under_way:
            self._advance()

    def _advance(self) -> None:
        now_s = self._clock()
        with self._lock:
            dropped = self._sweep(now_s)
            begun: list[Work] = []
            while self._queue and len(self._under_way) < self._places:
                for entry in self._queue.pop(1, None):
                    number, work = self._waiting.pop(entry)
                    del self._tickets[number]
                    self._under_way.add(number)
                    self._unprepared.add(number)
                    begun.append(work)
        _refuse(dropped)
        for work in begun:
            work.begin()

    def _refusal(self, model: str, left_s: float, priority: int, most: int, now_s: float) -> ServingError | None:
        if self._closed:
            return self._stopping()
        if len(self._queue) >= most or self._queue.room(priority) <= 0:
            most = min(most, self._queue.limit(priority))
            return QueueFull(f"model {model!r}: {most} images wait already, which is its limit; send fewer at a time")
        if math.isinf(left_s):
            return None
        if left_s <= 0:
            return DeadlineExpired(f"model {model!r}: the deadline passed before the image was decoded")
        outlook = self._expect(priority, now_s)
        return None if outlook.fits(left_s) else DeadlineExpired(f"model {model!r}: {outlook.explain(left_s)}")

    def _expect(self, priority: int, now_s: float) -> Outlook:
        """What an image can expect that comes now: it is decoded while it waits for an instance."""
        before = self._queue.before(priority, None).requests + len(self._unprepared)
        network = self._outlook(priority, before)
        self._execute = network.service
        prepare, finish = self._prepare.span(now_s), self._finish.span(now_s)
        decoding_s = before // self._decoders * prepare.likely_s
        wait_s = max(network.wait_s - prepare.likely_s, decoding_s, 0.0)
        return Outlook(wait_s, prepare + network.service + finish)

    def _sweep(self, now_s: float) -> list[tuple[Work, ServingError]]:
        """Takes out what need not be decoded any more."""
        least = self._prepare.span(now_s) + self._execute + self._finish.span(now_s)
        dropped: list[tuple[Work, ServingError]] = []
        for one in self._queue.sweep(now_s, least.least_s):
            number, work = self._waiting.pop(one.entry)
            del self._tickets[number]
            dropped.append((work, one.reason))
        return dropped

    def _stopping(self) -> ServerStopping:
        return ServerStopping(f"model '{self._name}' is being unloaded and takes no more images")


def _refuse(dropped: Sequence[tuple[Work, ServingError]]) -> None:
    for work, reason in dropped:
        work.refuse(reason)
