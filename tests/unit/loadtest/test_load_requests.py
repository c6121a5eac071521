"""What is sent, and what is made of the answers."""

from typing import Any

import grpc
import pytest

from loadtest.scenario import RawRequests
from loadtest.tensors import UnknownShape, raw_request, tensor_shape
from loadtest.users.outcomes import ending_of
from loadtest.users.server_timings import parameter_timings, typed_timings
from pasarela_client.errors import (
    DeadlineExpired,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    QueueFull,
    ServerUnreachable,
)
from pasarela_client.timings import NOT_TOLD
from pasarela_proto import detection_pb2, inference_pb2

LATE = grpc.StatusCode.DEADLINE_EXCEEDED
AWAY = grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "waited_s", "outcome"),
    [
        (DeadlineExpired("x", status=LATE), 1.0, "late"),  # reason: it had a second, and used it
        (DeadlineExpired("x", status=LATE), 0.2, "refused"),  # reason: the server saw that it would not be in time
        (QueueFull("x", status=AWAY), 0.0, "refused"),
        (ModelUnavailable("x", status=AWAY), 0.0, "refused"),  # reason: loading or stopping: come back later
        (ServerUnreachable("x", status=AWAY), 0.0, "failed"),  # reason: nobody was there to refuse
        (ModelNotFound("x", status=grpc.StatusCode.NOT_FOUND), 0.0, "failed"),
    ],
)
def test_what_an_error_makes_of_a_request(error: PasarelaError, waited_s: float, outcome: str) -> None:
    ending = ending_of(error, waited_s, 1.0)
    assert ending.outcome == outcome
    assert error.status is not None
    assert ending.status == error.status.name
    assert ending.message == f"{type(error).__name__}: x"


def test_long_messages_are_cut() -> None:
    message = ending_of(PasarelaError("x" * 999), 0, 1).message
    assert len(message) == 160
    assert message.endswith("…")


def test_timings_are_read_from_typed_answers() -> None:
    told = detection_pb2.Timings(infer_ns=5, nms_ns=3, total_ns=9, batch_size=2, close_reason="full", instance=1)
    timings = typed_timings(told)
    assert (timings.infer_ns, timings.nms_ns, timings.total_ns, timings.batch_size) == (5, 3, 9, 2)
    assert (timings.close_reason, timings.instance) == ("full", 1)
    assert typed_timings(detection_pb2.Timings()) == NOT_TOLD


def test_timings_are_read_from_parameters() -> None:
    answer = inference_pb2.ModelInferResponse()
    answer.parameters["infer_ns"].int64_param = 7
    answer.parameters["close_reason"].string_param = "idle"
    answer.parameters["something_new"].int64_param = 1
    timings = parameter_timings(answer.parameters)
    assert (timings.infer_ns, timings.close_reason) == (7, "idle")
    assert parameter_timings({}) == NOT_TOLD


@pytest.mark.parametrize(
    ("described", "entry", "shape"),
    [
        ([-1, 3, 8, 8], {}, [1, 3, 8, 8]),  # reason: an open first size are rows
        ([-1, 3, 8, 8], {"rows": 4}, [4, 3, 8, 8]),
        ([2, 3], {"rows": 4}, [2, 3]),  # reason: the model says what it takes
        ([-1, 3, -1, -1], {"sizes": {"x": [3, 5, 6]}}, [1, 3, 5, 6]),
        ([-1, -1], {"sizes": {"x": [7, 5]}}, [7, 5]),  # reason: the whole shape, rows included
    ],
)
def test_shapes_are_the_models_where_it_says_them(
    described: list[int], entry: dict[str, Any], shape: list[int]
) -> None:
    assert tensor_shape(RawRequests(user="raw", **entry), "x", described) == shape


def test_a_size_that_stays_open_is_asked_for() -> None:
    with pytest.raises(UnknownShape, match=r"leaves the size of its input x open \(-1, 3, -1\).* sizes: {x: \[3, 3\]}"):
        tensor_shape(RawRequests(user="raw", model="m"), "x", [-1, 3, -1])


def test_tensors_have_the_models_type_and_ask_for_timings() -> None:
    described = inference_pb2.ModelMetadataResponse(name="m")
    described.inputs.add(name="x", datatype="FP16", shape=[-1, 2])
    request = raw_request(RawRequests(user="raw", model="m", rows=3), described)
    assert request.raw_input_contents == [bytes(12)]
    assert list(request.inputs[0].shape) == [3, 2]
    assert request.parameters["timings"].bool_param
    described.inputs[0].datatype = "BYTES"
    with pytest.raises(UnknownShape, match="use user: detect for images"):
        raw_request(RawRequests(user="raw", model="m"), described)
