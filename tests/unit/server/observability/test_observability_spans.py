"""Requests as spans: where they begin and end, and whose they are."""

import itertools

import pytest

from pasarela_server.errors import QueueFull
from pasarela_server.observability.record import Caller, RequestRecord
from pasarela_server.observability.spans import Ids, SpanId, SpanMaker
from pasarela_server.request import NO_TIMINGS, Timings

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALLER = Caller("pasarela.v1.DetectionService/Detect", PARENT, "vendor=1")
TIMINGS = Timings(
    submitted_ns=1_010,
    receive_ns=10,
    decode_queue_ns=5,
    decode_ns=20,
    letterbox_ns=15,
    queue_ns=40,
    batch_ns=3,
    infer_ns=100,
    split_ns=2,
    nms_queue_ns=1,
    nms_ns=9,
    encode_ns=4,
    total_ns=250,
    batch_size=2,
    close_reason="full",
    instance=1,
    batch_began_ns=1_100,
)
EPOCH_NS = 1_000_000


def record(caller=CALLER, timings=TIMINGS, error=None):
    return RequestRecord("garments", 3, "r7", 1_002, 1_250, 1, timings, error, caller)


@pytest.fixture
def maker():
    numbers = itertools.count(1)
    return SpanMaker(Ids(lambda: next(numbers), lambda: next(numbers)), lambda kind: "UNAVAILABLE")


def test_a_request_is_a_span_of_its_caller_and_its_stages_are_spans_of_it(maker):
    spans = list(maker.spans(record(), EPOCH_NS))
    request = spans[0]
    (whole,) = (span for span in spans if span.parent is None)
    stages = [span for span in spans if span not in (request, whole)]
    assert (request.name, request.is_server, request.remote_parent, request.state) == (
        CALLER.method,
        True,
        True,
        "vendor=1",
    )
    assert request.parent == SpanId(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7)
    assert request.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "pasarela.v1.DetectionService",
        "rpc.method": "Detect",
        "pasarela.model": "garments",
        "pasarela.model_version": 3,
        "pasarela.request_id": "r7",
        "pasarela.rows": 1,
    }
    moments = {span.name: (span.start_ns - EPOCH_NS, span.end_ns - EPOCH_NS) for span in (request, *stages)}
    assert moments == {
        CALLER.method: (1_000, 1_250),
        "receive": (1_000, 1_010),
        "decode_queue": (1_010, 1_015),
        "decode": (1_015, 1_035),
        "letterbox": (1_035, 1_050),
        "queue": (1_060, 1_100),
        "batch": (1_100, 1_205),
        "infer": (1_103, 1_203),
        "nms_queue": (1_205, 1_206),
        "nms": (1_206, 1_215),
        "encode": (1_246, 1_250),
    }
    by_name = {span.name: span for span in stages}
    assert by_name["infer"].parent == by_name["batch"].id
    assert all(span.parent == request.id for span in stages if span.name != "infer")
    assert {span.id.trace_id for span in (request, *stages)} == {request.id.trace_id}
    assert len({span.id for span in spans}) == len(spans)
    assert (whole.name, whole.parent, whole.start_ns - EPOCH_NS, whole.end_ns - EPOCH_NS) == (
        "batch",
        None,
        1_100,
        1_205,
    )
    assert whole.attributes == {"pasarela.batch_size": 2, "pasarela.close_reason": "full", "pasarela.instance": 1}


def test_requests_of_one_batch_link_to_the_same_span_which_is_there_once(maker):
    spans = [*maker.spans(record(), 0), *maker.spans(record(Caller("x/Y")), 0)]
    (whole,) = (span for span in spans if span.name == "batch" and span.parent is None)
    shares = [span for span in spans if span.name == "batch" and span.parent is not None]
    assert [share.links for share in shares] == [(whole.id,), (whole.id,)]
    assert whole.links == (shares[0].id,)
    assert len({share.id.trace_id for share in shares} | {whole.id.trace_id}) == 3
    other = list(maker.spans(record(timings=TIMINGS._replace(instance=0)), 0))
    assert [span.name for span in other if span.parent is None] == ["batch"], "another instance has another batch"


def test_a_request_that_failed_is_one_span_that_says_why(maker):
    (request,) = maker.spans(record(timings=NO_TIMINGS, error=QueueFull), 0)
    assert (request.error, request.attributes["error.type"]) == ("UNAVAILABLE", "QueueFull")
    assert (request.start_ns, request.end_ns) == (1_002, 1_250)


@pytest.mark.parametrize(
    ("parent", "reason"),
    [("", "there is no caller that traces"), (PARENT[:-1], "what it sent is no context")],
)
def test_without_a_caller_that_traces_a_trace_begins(maker, parent, reason):
    request = next(iter(maker.spans(record(Caller("x/Y", parent)), 0)))
    assert (request.parent, request.remote_parent) == (None, False), reason


def test_stages_that_were_not_passed_are_left_out(maker):
    timings = Timings(submitted_ns=1_010, receive_ns=10, queue_ns=5, infer_ns=20, batch_began_ns=1_015)
    spans = list(maker.spans(record(timings=timings), 0))
    assert [span.name for span in spans] == [CALLER.method, "receive", "queue", "batch", "infer", "batch"]


def test_batches_are_forgotten_one_day(maker):
    """Otherwise the memory would grow with each request."""
    for number in range(1_100):
        list(maker.spans(record(timings=TIMINGS._replace(batch_began_ns=1_100 + number)), 0))
    assert len(maker._batches) == 1_024
