"""Inference messages between gRPC's bytes and the codec."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError

from pasarela_proto import inference_pb2 as pb
from pasarela_server.rpc.messages import LARGE_BYTES, Reply, read_request, write_reply, write_stream_reply


@pytest.mark.parametrize(
    "size",
    [
        0,  # reason: an empty value is a value
        16,  # reason: protobuf holds small ones
        LARGE_BYTES,  # reason: larger ones stay where they are
        5_000_000,  # reason: an image of 640 x 640 in floats
    ],
)
def test_a_request(size):
    raw = bytes([7]) * size
    request = read_request(
        pb.ModelInferRequest(model_name="m", id="r7", raw_input_contents=[raw, b"x"]).SerializeToString()
    )
    assert (request.message.model_name, request.id, list(map(bytes, request.raw))) == ("m", "r7", [raw, b"x"])
    assert request.received_ns > 0


@pytest.mark.parametrize("size", [10, LARGE_BYTES], ids=["small", "large"])
def test_what_is_no_request_is_an_error_of_protobuf(size):
    with pytest.raises(DecodeError):
        read_request(b"\x0a" + bytes([0x80]) * size)


def test_a_large_request_without_raw_contents():
    message = pb.ModelInferRequest(inputs=[{"contents": {"fp32_contents": [1.5] * LARGE_BYTES}}])
    request = read_request(message.SerializeToString())
    assert list(request.raw) == []
    assert request.message == message


REPLY = pb.ModelInferResponse(
    model_name="m",
    model_version="3",
    id="r",
    parameters={"p": pb.InferParameter(int64_param=1)},
    outputs=[{"name": "y", "datatype": "FP32", "shape": [2]}],
)
RAW = [b"ab", b"", np.arange(70_000, dtype=np.uint8).data, np.zeros(3, np.uint8).data]


@pytest.mark.parametrize("raw", [[], [b""], RAW], ids=["no output", "an output in shared memory", "outputs"])
def test_replies_are_what_protobuf_would_write(raw):
    whole = pb.ModelInferResponse(raw_output_contents=map(bytes, raw))
    whole.MergeFrom(REPLY)
    assert write_reply(Reply(REPLY, raw)) == whole.SerializeToString()
    streamed = pb.ModelStreamInferResponse(infer_response=REPLY)
    assert (
        write_stream_reply(Reply(streamed, raw))
        == pb.ModelStreamInferResponse(infer_response=whole).SerializeToString()
    )


def test_a_refusal_on_a_stream():
    refusal = pb.ModelStreamInferResponse(error_message="no", infer_response=REPLY)
    assert write_stream_reply(Reply(refusal)) == refusal.SerializeToString()
