"""Inference messages as they come from and go to gRPC: large tensors stay out of protobuf, which would copy them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pasarela_proto import inference_pb2 as pb
from pasarela_server.rpc.wire import Contents, encode_varint, fields, split_off

LARGE_BYTES = 32_768
"""Messages from this size on are taken apart here. Below it protobuf is faster."""

_RAW_INPUTS = pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_RAW_OUTPUTS = pb.ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
_ANSWER = encode_varint(pb.ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER << 3 | 2)


class ReceivedRequest:
    """One ModelInferRequest."""

    __slots__ = ("message", "raw", "received_ns")

    def __init__(self, message: pb.ModelInferRequest, raw: Sequence[Contents], received_ns: int = 0) -> None:
        """Puts together what `read_request` took apart.

        Args:
            message: The request; `raw_input_contents` are to be taken from `raw`.
            raw: The raw contents; views keep the whole message alive.
            received_ns: When gRPC handed it over, on the clock of `time.monotonic_ns`.
        """
        self.message = message
        self.raw = raw
        self.received_ns = received_ns

    @property
    def id(self) -> str:
        """What the client calls it."""
        return self.message.id


class Reply:
    """A ModelInferResponse or ModelStreamInferResponse whose raw contents are beside it, as they lie in the arrays."""

    __slots__ = ("message", "raw")

    def __init__(
        self, message: pb.ModelInferResponse | pb.ModelStreamInferResponse, raw: Sequence[Contents] = ()
    ) -> None:
        self.message = message
        self.raw = raw


def read_request(serialized: bytes) -> ReceivedRequest:
    """A request from the bytes that gRPC received.

    Raises:
        google.protobuf.message.DecodeError: They are no such message.
    """
    received_ns = time.monotonic_ns()
    if len(serialized) >= LARGE_BYTES:
        split = split_off(serialized, _RAW_INPUTS)
        if split is not None:
            rest, raw = split
            return ReceivedRequest(pb.ModelInferRequest.FromString(rest), raw, received_ns)
    message = pb.ModelInferRequest.FromString(serialized)
    return ReceivedRequest(message, message.raw_input_contents, received_ns)


def write_reply(reply: Reply) -> bytes:
    """The bytes of a ModelInferResponse: what protobuf would write, with one copy of each tensor instead of four."""
    return b"".join((reply.message.SerializeToString(), *fields(_RAW_OUTPUTS, reply.raw)))


def write_stream_reply(reply: Reply) -> bytes:
    """The bytes of a ModelStreamInferResponse. One that has raw contents holds no error message."""
    message = reply.message
    if not reply.raw or not isinstance(message, pb.ModelStreamInferResponse):
        return message.SerializeToString()
    pieces = (message.infer_response.SerializeToString(), *fields(_RAW_OUTPUTS, reply.raw))
    return b"".join((_ANSWER, encode_varint(sum(map(len, pieces))), *pieces))
