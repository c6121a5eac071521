"""A line of the log for each request that has ended, where the log is verbose."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pasarela_server.observability.logging import fields
from pasarela_server.observability.record import RequestRecord
from pasarela_server.observability.stage_times import STAGES
from pasarela_server.observability.trace_context import parse_trace_context
from pasarela_server.request import Timings

_log = logging.getLogger("pasarela_server.requests")

_STAGES = STAGES[1:]
_SHOWN = ("queue", "infer")
"""Stages that the message itself tells, for people; JSON has all."""


class RequestLog:
    """Told of every request; a listener of `Metrics`."""

    def __init__(self, status: Callable[[type[BaseException]], str]) -> None:
        """Builds it.

        Args:
            status: The name of the status that a client gets for an error of a kind.
        """
        self._status = status

    def request(self, record: RequestRecord) -> None:
        """Writes the line."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        timings = record.timings
        status = "OK" if record.error is None else self._status(record.error)
        total_ms = (timings.total_ns or record.duration_ns) / 1e6
        stages_ms = _stages_ms(timings)
        trace = parse_trace_context(record.caller.traceparent) if record.caller.traceparent else None
        _log.debug(
            "request '%s' of %s version %d: %s, %.1f ms%s",
            record.request_id,
            record.model,
            record.version,
            status,
            total_ms,
            _told(timings, stages_ms) if record.error is None else f" ({record.error.__name__})",
            extra=fields(
                request_id=record.request_id,
                model=record.model,
                version=record.version,
                status=status,
                error="" if record.error is None else record.error.__name__,
                rows=record.rows,
                batch_size=timings.batch_size,
                close_reason=timings.close_reason,
                instance=timings.instance,
                duration_ms=round(total_ms, 3),
                stages_ms=stages_ms,
                **({} if trace is None else {"trace_id": f"{trace.trace_id:032x}"}),
            ),
        )


def _stages_ms(timings: Timings) -> dict[str, float]:
    """The stages that the request passed."""
    found = ((stage, getattr(timings, f"{stage}_ns")) for stage in _STAGES)
    return {stage: round(duration_ns / 1e6, 3) for stage, duration_ns in found if duration_ns}


def _told(timings: Timings, stages_ms: dict[str, float]) -> str:
    parts = [f"{stage} {stages_ms[stage]:.1f}" for stage in _SHOWN if stage in stages_ms]
    if timings.batch_size:
        parts.append(f"batch of {timings.batch_size}, {timings.close_reason}")
    return f" ({', '.join(parts)})" if parts else ""
