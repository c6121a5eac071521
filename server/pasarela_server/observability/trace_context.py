"""The trace that a caller belongs to, as W3C writes it in two headers. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MOST_STATE_CHARS = 512
_SAMPLED = 1


class TraceContext(NamedTuple):
    """A span of the caller, the parent of what is done for it."""

    trace_id: int
    span_id: int
    sampled: bool
    """Whether the caller's trace is recorded."""
    state: str = ""
    """What the systems on the way say for themselves, handed on as it is."""


def parse_trace_context(traceparent: str, tracestate: str = "") -> TraceContext | None:
    """Reads the headers.

    Args:
        traceparent: The first; of any version, later ones may be longer.
        tracestate: The second; what is too long or holds control characters is left out.

    Returns:
        None if the first is none: then the trace begins here.
    """
    match = _PARENT.fullmatch(traceparent.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    state = tracestate if len(tracestate) <= _MOST_STATE_CHARS and tracestate.isprintable() else ""
    return TraceContext(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED), state)
