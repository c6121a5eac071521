"""The back's side of one front: puts its images into the models' queues, answers, and counts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from math import isfinite

from pasarela_server.errors import RequestCancelled
from pasarela_server.frontends import found
from pasarela_server.frontends.delivery import Deliveries
from pasarela_server.frontends.facts import Facts, FactsBook
from pasarela_server.frontends.failures import describe_failure, named_error
from pasarela_server.frontends.link import (
    Answer,
    Cancel,
    Done,
    Failure,
    Known,
    Lookup,
    Message,
    Noted,
    Refused,
    Streams,
    Submit,
)
from pasarela_server.frontends.timings import pack, unpack
from pasarela_server.observability.metrics import Metrics, Outcome
from pasarela_server.observability.record import Caller
from pasarela_server.processes.memory import SharedMemory, describe
from pasarela_server.repository.pipeline import RawModel
from pasarela_server.repository.servable import Servable
from pasarela_server.rpc.models import Models
from pasarela_server.rpc.status import FailureTable
from pasarela_server.rpc.version import parse_version
from pasarela_server.scheduling.batch import BatchAnswer

_log = logging.getLogger("pasarela_server.frontends")

Asked = Lookup | Submit | Refused


class Desks:
    """What all desks share; builds one for each front."""

    def __init__(self, models: Models, metrics: Metrics, failures: FailureTable) -> None:
        self.models = models
        self.metrics = metrics
        self.failures = failures
        self.facts = FactsBook()
        self.deliveries = Deliveries()

    def start(self) -> None:
        """Starts the thread that all of them use; it ends with the process."""
        self.deliveries.start()

    def open(self, post: Callable[[Message], None], memory: SharedMemory) -> FrontDesk:
        """The desk of a new front; see there."""
        return FrontDesk(self, post, memory)


@dataclass(slots=True, eq=False)
class _Entry:
    """One image from its Submit to its Done."""

    asked: Submit
    output: str
    names: tuple[str, ...]
    """Of the classes."""
    pins: ExitStack
    """Keep the versions alive, until the output has been copied."""
    outcome: Outcome
    future: Future[BatchAnswer]
    delivered: bool = False


class FrontDesk:
    """Serves one front. `received` and `lost` are called on the event loop, `_deliver` on the thread of deliveries.

    An entry is counted by whoever takes it out of `_entries`: exactly once.
    """

    def __init__(self, desks: Desks, post: Callable[[Message], None], memory: SharedMemory) -> None:
        """Builds the desk.

        Args:
            desks: What all desks share.
            post: Sends the front a message, from any thread.
            memory: Where the front lays its images.
        """
        self._desks = desks
        self._post = post
        self._memory = memory
        self._entries: dict[int, _Entry] = {}
        self._gone = False
        self._streams: Counter[str] = Counter()

    def received(self, message: Message) -> None:
        """Takes what the front says."""
        match message:
            case Submit():
                self._submit(message)
            case Done():
                self._done(message)
            case Cancel():
                entry = self._entries.get(message.sequence)
                if entry is not None:
                    entry.future.cancel()
            case Lookup():
                self._lookup(message)
            case Refused():
                self._refused(message)
            case Streams():
                self._count_streams(message.method, message.difference)
            case _:
                _log.error("a front sent what the back does not take: %s", type(message).__name__)

    def lost(self) -> None:
        """Gives up everything that the front had open: what waits is dropped, what is computed has no reader."""
        self._gone = True
        for method, count in list(self._streams.items()):
            self._count_streams(method, -count)
        for sequence, entry in list(self._entries.items()):
            entry.future.cancel()
            if entry.delivered:
                self._count(sequence, RequestCancelled())

    def _count_streams(self, method: str, difference: int) -> None:
        self._streams[method] += difference
        self._desks.metrics.stream_changed(method, difference)

    def _lookup(self, asked: Lookup) -> None:
        with ExitStack() as pins:
            facts, _ = self._pin(asked, pins) or (None, None)
            if facts is not None:
                self._post(Known(asked.sequence, facts.to_text()))

    def _submit(self, asked: Submit) -> None:
        pins = ExitStack()
        facts, raw = self._pin(asked, pins) or (None, None)
        if facts is None or raw is None:
            pins.close()
            return
        if facts.number != asked.facts:
            pins.close()
            self._post(Known(asked.sequence, facts.to_text()))
            return
        detector = facts.detector
        outcome = self._outcome(facts.model, facts.version, asked)
        try:
            array = self._memory.view(asked.offset, asked.layout)
            deadline_s = asked.deadline_s if isfinite(asked.deadline_s) else None
            future = raw.submit({detector.input_name: array}, asked.rows, deadline_s, asked.priority)
        except Exception as error:  # noqa: BLE001 - whatever it is, the front must hear of it
            pins.close()
            outcome.end(error)
            self._fail(asked, error)
            return
        entry = _Entry(asked, detector.output_name, detector.names, pins, outcome, future)
        self._entries[asked.sequence] = entry
        future.add_done_callback(lambda _: self._desks.deliveries.put(self._deliver, entry))

    def _refused(self, asked: Refused) -> None:
        """Counts what failed in the front already: unless there is no such model, which the front could not know."""
        with ExitStack() as pins:
            if asked.at_the_door:
                servable = self._acquire(asked, pins)
                if servable is None:
                    return
                model, version = servable.config.name, servable.version
            else:
                facts, _ = self._pin(asked, pins) or (None, None)
                if facts is None:
                    return
                model, version = facts.model, facts.version
            self._outcome(model, version, asked).end(named_error(asked.error))
            self._post(Noted(asked.sequence))

    def _acquire(self, asked: Asked, pins: ExitStack) -> Servable | None:
        """Pins the servable; or tells the front why that cannot be, which counts for no version."""
        try:
            version = parse_version(asked.model, asked.version)
            return pins.enter_context(self._desks.models.acquire(asked.model, version)).servable
        except Exception as error:  # noqa: BLE001 - whatever it is, the front must hear of it
            self._fail(asked, error)
            return None

    def _pin(self, asked: Asked, pins: ExitStack) -> tuple[Facts, RawModel] | None:
        """Pins the servable and the raw model under it; or tells the front why that cannot be, and counts it."""
        servable = self._acquire(asked, pins)
        if servable is None:
            return None
        try:
            pipeline = servable.pipeline
            raw = pins.enter_context(pipeline.raw())
            return self._desks.facts.of(pipeline, raw.require_detector()), raw
        except Exception as error:  # noqa: BLE001 - whatever it is, the front must hear of it
            self._outcome(asked.model, servable.version, asked).end(error)
            self._fail(asked, error)
            return None

    def _outcome(self, model: str, version: int, asked: Asked) -> Outcome:
        caller = Caller.from_text(asked.caller)
        return self._desks.metrics.request(model, version, asked.request_id, caller).begin(asked.started_ns)

    def _fail(self, asked: Asked, error: BaseException) -> None:
        told = describe_failure(error, self._desks.failures, asked.request_id)
        self._post(Failure(asked.sequence, *told))

    def _deliver(self, entry: _Entry) -> None:
        """Lays the output where the image was, and tells the front. The future is done."""
        asked, future = entry.asked, entry.future
        try:
            failure = RequestCancelled("the request was given up") if future.cancelled() else future.exception()
            if failure is None:
                answer = self._place(entry, future.result())
        except Exception as error:  # noqa: BLE001 - whatever it is, the front must hear of it
            failure = error
        finally:
            entry.pins.close()
        if failure is not None:
            self._count(asked.sequence, failure)
            self._fail(asked, failure)
            return
        entry.delivered = True
        self._post(answer)
        if self._gone:
            self._count(asked.sequence, RequestCancelled())

    def _place(self, entry: _Entry, answer: BatchAnswer) -> Answer:
        asked = entry.asked
        output = answer.outputs[entry.output][:1]
        layout = describe(output)
        inline = output.nbytes > asked.capacity
        if not inline:
            self._memory.write(asked.offset, output)
        return Answer(asked.sequence, layout, pack(answer.timings), output.tobytes() if inline else b"")

    def _done(self, message: Done) -> None:
        if message.error:
            self._count(message.sequence, named_error(message.error))
            return
        entry = self._entries.get(message.sequence)
        if entry is not None:
            entry.outcome.timings = unpack(message.timings)
            entry.outcome.found = found.unpack(message.found, entry.names)
            self._count(message.sequence, None)

    def _count(self, sequence: int, error: BaseException | None) -> None:
        entry = self._entries.pop(sequence, None)
        if entry is not None:
            entry.outcome.end(error)
