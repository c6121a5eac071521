"""Where the time of a request went, told in its response: in parameters if the request asks for them, or typed."""

from __future__ import annotations

from collections.abc import Mapping

from pasarela_proto import detection_pb2, inference_pb2
from pasarela_server.request import ParameterValue, Timings

ASKED = "timings"
"""The request parameter that asks for them: a bool."""

TOLD_NUMBERS = (
    "receive_ns",
    "decode_queue_ns",
    "decode_ns",
    "letterbox_ns",
    "queue_ns",
    "batch_ns",
    "infer_ns",
    "split_ns",
    "nms_queue_ns",
    "nms_ns",
    "encode_ns",
    "total_ns",
    "batch_size",
    "instance",
)
"""The int64 parameters of a response, each named as the field of `Timings` that it tells."""
TOLD_STRINGS = ("close_reason",)
"""The string parameters."""


def asks_for_timings(parameters: Mapping[str, ParameterValue]) -> bool:
    """Whether a request with such parameters wants to be told."""
    return parameters.get(ASKED) is True


def encode_parameters(timings: Timings, reply: inference_pb2.ModelInferResponse) -> None:
    """Adds them to the parameters of a response."""
    parameters = reply.parameters
    for name in TOLD_NUMBERS:
        parameters[name].int64_param = getattr(timings, name)
    for name in TOLD_STRINGS:
        parameters[name].string_param = getattr(timings, name)


def encode_typed(timings: Timings) -> detection_pb2.Timings:
    """The message of a typed response."""
    return detection_pb2.Timings(
        preprocess_ns=timings.preprocess_ns,
        queue_ns=timings.queue_ns,
        infer_ns=timings.infer_ns,
        postprocess_ns=timings.postprocess_ns,
        batch_size=timings.batch_size,
        receive_ns=timings.receive_ns,
        decode_queue_ns=timings.decode_queue_ns,
        decode_ns=timings.decode_ns,
        letterbox_ns=timings.letterbox_ns,
        batch_ns=timings.batch_ns,
        split_ns=timings.split_ns,
        nms_queue_ns=timings.nms_queue_ns,
        nms_ns=timings.nms_ns,
        encode_ns=timings.encode_ns,
        total_ns=timings.total_ns,
        close_reason=timings.close_reason,
        instance=timings.instance,
    )
