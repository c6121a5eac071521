"""Traces of single requests: which are taken, and what a file holds of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from pasarela_server.observability.record import RequestRecord
from pasarela_server.observability.trace_context import parse_trace_context
from pasarela_server.observability.trace_file import TraceFile

GLOBAL = ""
"""Stands for all models that have no settings of their own."""


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Which requests are traced."""

    timestamps: bool = False
    """False: none."""
    rate: int = 1000
    """Every so many requests one is traced; 0: none but those whose caller traces them, where spans are sent."""
    count: int = -1
    """How many are still to be traced; -1: no end."""
    log_frequency: int = 0
    """Traces that one file holds before the next one begins; 0: one file holds them all."""


_UNTRACED = TraceSettings()

_LAST_SPANS_S = 3.0
"""How long the last spans may take to leave."""


class Spans(Protocol):
    """Sends requests as spans; `otlp.SpanExport` does it."""

    def add(self, record: RequestRecord) -> None:
        """Takes a request that has ended; never blocks."""
        ...

    def close(self, timeout_s: float) -> None:
        """Sends what waits."""
        ...


class Tracer:
    """Chooses requests by its settings and hands them to a file, to a collector, or to both.

    Thread-safe; nothing here blocks but `close`.
    """

    def __init__(self, path: Path | None = None, initial: TraceSettings = _UNTRACED) -> None:
        """Builds the tracer.

        Args:
            path: The file; None writes none.
            initial: What holds until it is changed.
        """
        self._lock = threading.Lock()
        self._file = None if path is None else TraceFile(path)
        self._spans: Spans | None = None
        self._initial = initial
        self._changes: dict[str, Mapping[str, Any]] = {GLOBAL: {}}
        """What was said for all models, and for single ones."""
        self._samplers: dict[str, _Sampler] = {GLOBAL: _Sampler(initial)}
        self._taken = 0

    def send(self, spans: Spans) -> None:
        """Sends spans from now on; `close` closes what does it."""
        self._spans = spans

    @property
    def sends(self) -> bool:
        """Whether spans are sent."""
        return self._spans is not None

    @property
    def filename(self) -> str:
        """The file's name without its folder; empty if there is none."""
        return "" if self._file is None else self._file.path.name

    def settings(self, model: str = GLOBAL) -> TraceSettings:
        """What holds for a model now, or for all that have no settings of their own."""
        with self._lock:
            return self._sampler(model).settings

    def change(self, model: str, changes: Mapping[str, int | bool | None]) -> None:
        """Changes settings of one model, or of all that have none of their own.

        Args:
            model: The model, or GLOBAL.
            changes: By field of `TraceSettings`. None takes a setting back: a model's then follows the global one,
                the global one its default.
        """
        with self._lock:
            merged = {**self._changes.get(model, {}), **changes}
            self._changes[model] = {name: value for name, value in merged.items() if value is not None}
            if model != GLOBAL and not self._changes[model]:
                del self._changes[model]
            if "count" in changes and (sampler := self._samplers.get(model)) is not None:
                sampler.forget_count()
            self._renew()

    def request(self, record: RequestRecord) -> None:
        """Traces a request that has ended, if it is its turn."""
        file, spans = self._file, self._spans
        if file is None and spans is None:
            return
        with self._lock:
            settings = self._taken_by(record)
            if settings is None:
                return
            self._taken += 1
            number = self._taken
        if file is not None:
            file.add(trace_of(record, number), settings.log_frequency)
        if spans is not None:
            spans.add(record)

    def _taken_by(self, record: RequestRecord) -> TraceSettings | None:
        """The settings if a request is to be traced: its caller decides, if there is one that traces; else the rate."""
        sampler = self._sampler(record.model)
        caller = parse_trace_context(record.caller.traceparent) if record.caller.traceparent else None
        if caller is None:
            return sampler.take()
        return sampler.settings if caller.sampled and sampler.settings.timestamps else None

    def close(self) -> None:
        """Writes and sends what is left, and ends both. Blocks."""
        if self._file is not None:
            self._file.close()
        if self._spans is not None:
            self._spans.close(_LAST_SPANS_S)

    def _sampler(self, model: str) -> _Sampler:
        return self._samplers.get(model) or self._samplers[GLOBAL]

    def _renew(self) -> None:
        """Makes samplers of what was said; one for which nothing changes counts on."""
        common = replace(self._initial, **self._changes[GLOBAL])
        samplers: dict[str, _Sampler] = {}
        for model, changes in self._changes.items():
            wanted = replace(common, **changes)
            known = self._samplers.get(model)
            samplers[model] = known if known is not None and known.wanted == wanted else _Sampler(wanted)
        self._samplers = samplers


class _Sampler:
    """Counts requests and says which is traced."""

    def __init__(self, wanted: TraceSettings) -> None:
        self.wanted: TraceSettings | None = wanted
        self.settings = wanted
        self._seen = 0

    def forget_count(self) -> None:
        """The next renewal makes a new sampler, even if the same count was asked for again."""
        self.wanted = None

    def take(self) -> TraceSettings | None:
        """The settings if this request is to be traced."""
        if not self.settings.timestamps or not self.settings.rate or self.settings.count == 0:
            return None
        self._seen += 1
        if self._seen % self.settings.rate:
            return None
        if self.settings.count > 0:
            self.settings = replace(self.settings, count=self.settings.count - 1)
        return self.settings


def trace_of(record: RequestRecord, number: int) -> tuple[Mapping[str, Any], ...]:
    """A request as Triton's trace files hold it. Pure.

    Each stage has the length that was measured; where one ends the next begins, so short ways between threads are part
    of what stands before REQUEST_END. For a detection model COMPUTE_INPUT is the decoding of the image and
    COMPUTE_OUTPUT the suppression.
    """
    timings = record.timings
    moments = [("REQUEST_START", record.started_ns)]
    if not record.failed:
        at_ns = record.started_ns
        for name, stage_ns in (
            ("QUEUE_START", 0),
            ("COMPUTE_START", timings.waiting_ns),
            ("COMPUTE_INPUT_END", timings.preprocess_ns),
            ("COMPUTE_OUTPUT_START", timings.infer_ns),
            ("COMPUTE_END", timings.postprocess_ns),
        ):
            at_ns = min(at_ns + stage_ns, record.ended_ns)
            moments.append((name, at_ns))
    moments.append(("REQUEST_END", record.ended_ns))
    return (
        {
            "id": number,
            "model_name": record.model,
            "model_version": record.version,
            "request_id": record.request_id,
        },
        {"id": number, "timestamps": [{"name": name, "ns": at_ns} for name, at_ns in moments]},
    )
