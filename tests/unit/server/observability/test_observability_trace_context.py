"""The trace context of a caller, read as OpenTelemetry's own reader does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pasarela_server.observability.trace_context import TraceContext, parse_trace_context

HEX = "0123456789abcdef"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def of_the_library(parent):
    found = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": parent})).get_span_context()
    return (found.trace_id, found.span_id, bool(found.trace_flags & 1)) if found.is_valid else None


@given(
    st.text(HEX, min_size=2, max_size=2),
    st.text(HEX, min_size=31, max_size=33) | st.just("0" * 32),
    st.text(HEX, min_size=15, max_size=17) | st.just("0" * 16),
    st.text(HEX, min_size=2, max_size=2),
    st.sampled_from(["", "-", "-more"]),
)
def test_headers_are_read_as_the_library_reads_them(version, trace, span, flags, more):
    parent = f"{version}-{trace}-{span}-{flags}{more}"
    found = parse_trace_context(parent)
    assert (None if found is None else found[:3]) == of_the_library(parent)


@given(st.text(max_size=80))
def test_what_is_none_is_none(parent):
    assert parse_trace_context(parent) is None


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1,b=2", "a=1,b=2"),  # reason: handed on as it is
        ("a" * 513, ""),  # reason: nobody has to hand on more
        ("a=\n", ""),  # reason: no header holds that
    ],
)
def test_state_is_handed_on(state, kept):
    assert parse_trace_context(f"00-{TRACE}-{SPAN}-01", state) == TraceContext(
        int(TRACE, 16), int(SPAN, 16), sampled=True, state=kept
    )
