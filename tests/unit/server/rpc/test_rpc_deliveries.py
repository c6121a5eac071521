"""What parameters of inputs and outputs ask for: shared memory, classes, or neither."""

import struct
from multiprocessing import shared_memory

import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest, RegionNotFound
from pasarela_server.request import InferResponse
from pasarela_server.rpc import codec
from pasarela_server.rpc.codec import encode_response
from pasarela_server.rpc.deliveries import PLAIN
from pasarela_server.rpc.messages import Reply, write_reply
from pasarela_server.shared_memory.region import SystemRegion
from pasarela_server.shared_memory.regions import Regions
from pasarela_server.tensor import DataType, Tensor


@pytest.fixture
def memory():
    made = shared_memory.SharedMemory(create=True, size=256)
    yield made
    made.close()
    made.unlink()


@pytest.fixture
def regions(memory):
    """Region 'r': 128 bytes from the 64th on."""
    found = Regions()
    found.register("r", lambda: SystemRegion.open("r", memory.name, 64, 128))
    return found


def shared(region="r", byte_size=8, offset=None):
    parameters = {
        "shared_memory_region": {"string_param": region},
        "shared_memory_byte_size": {"int64_param": byte_size},
    }
    return parameters if offset is None else parameters | {"shared_memory_offset": {"int64_param": offset}}


def tensor(name, parameters=None, datatype="FP32", shape=(1, 2), **contents):
    return {"name": name, "datatype": datatype, "shape": list(shape), "parameters": parameters or {}} | contents


def request(inputs, raw=(), outputs=()):
    return pb.ModelInferRequest(model_name="m", inputs=inputs, raw_input_contents=raw, outputs=outputs)


def decode_request(message, regions):
    return codec.decode_request(message, message.raw_input_contents, regions).request


def decode_deliveries(outputs, regions):
    message = request([tensor("x", shape=(0,))], outputs=outputs)
    return codec.decode_request(message, (), regions).deliveries


def answer(tensors, outputs, regions, **options):
    message = pb.ModelInferResponse()
    raw = encode_response(InferResponse("m", 1, tensors), message, decode_deliveries(outputs, regions), **options)
    return pb.ModelInferResponse.FromString(write_reply(Reply(message, raw)))


def test_an_input_is_read_in_place(regions, memory):
    (found,) = decode_request(request([tensor("x", shared(offset=16))]), regions).inputs
    memory.buf[80:88] = np.float32([1, 2]).tobytes()

    np.testing.assert_array_equal(found.array, [[1, 2]])
    assert not found.array.flags.writeable


def test_elements_may_be_at_odd_offsets(regions, memory):
    memory.buf[67:75] = np.float32([1, 2]).tobytes()
    (found,) = decode_request(request([tensor("x", shared(offset=3))]), regions).inputs
    np.testing.assert_array_equal(found.array, [[1, 2]])
    assert not found.array.flags.aligned


def test_a_uint64_size_is_as_good(regions):
    parameters = shared() | {"shared_memory_byte_size": {"uint64_param": 8}}
    assert decode_request(request([tensor("x", parameters)]), regions).inputs[0].array.shape == (1, 2)


def test_raw_buffers_belong_to_the_inputs_that_are_not_in_shared_memory(regions, memory):
    memory.buf[64:66] = b"\x05\x06"
    inputs = [tensor(name, datatype="UINT8") for name in "ac"]
    inputs.insert(1, tensor("b", shared(byte_size=2), datatype="UINT8"))
    decoded = decode_request(request(inputs, [b"\x01\x02", b"\x03\x04"]), regions)
    assert {found.name: found.array.tolist() for found in decoded.inputs} == {
        "a": [[1, 2]],
        "b": [[5, 6]],
        "c": [[3, 4]],
    }


def test_typed_contents_beside_shared_memory(regions):
    inputs = [tensor("x", shared()), tensor("y", contents={"fp32_contents": [3, 4]})]
    decoded = decode_request(request(inputs), regions)
    assert decoded.inputs[1].array.tolist() == [[3, 4]]


def test_bytes_elements_are_copied(regions, memory):
    raw = b"\x02\0\0\0ab\0\0\0\0"
    memory.buf[64 : 64 + len(raw)] = raw
    (found,) = decode_request(request([tensor("x", shared(byte_size=len(raw)), datatype="BYTES")]), regions).inputs
    memory.buf[64 : 64 + len(raw)] = bytes(len(raw))
    assert found.array.tolist() == [[b"ab", b""]]
    assert all(type(element) is bytes for element in found.array.ravel())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"shared_memory_byte_size": None}, "'shared_memory_byte_size' beside", id="no size"),
        pytest.param({"shared_memory_region": None}, "'shared_memory_region' beside", id="no region"),
        pytest.param({"shared_memory_region": {"int64_param": 1}}, "a string .* got an int64", id="region as number"),
        pytest.param({"shared_memory_region": {"string_param": ""}}, "a string that is not empty", id="empty region"),
        pytest.param({"shared_memory_region": {}}, "got no value", id="region without value"),
        pytest.param({"shared_memory_byte_size": {"string_param": "8"}}, "an int64 .* got a string", id="size as text"),
        pytest.param({"shared_memory_byte_size": {"int64_param": -8}}, "got an int64 of -8", id="negative size"),
        pytest.param({"shared_memory_offset": {"bool_param": True}}, "got a bool", id="offset as bool"),
        pytest.param({"shared_memory_offset": {"int64_param": -1}}, "got an int64 of -1", id="negative offset"),
        pytest.param({"shared_memory_offset": {"int64_param": 121}}, "inside the 128 bytes", id="over the end"),
    ],
)
@pytest.mark.parametrize("side", ["input", "output"])
def test_wrong_parameters_are_refused(regions, side, changed, message):
    parameters = {name: value for name, value in (shared() | changed).items() if value is not None}
    with pytest.raises(InvalidRequest, match=rf"^model 'm', {side} 'x'.*{message}"):
        if side == "input":
            decode_request(request([tensor("x", parameters)]), regions)
        else:
            decode_deliveries([{"name": "x", "parameters": parameters}], regions)


@pytest.mark.parametrize(
    ("inputs", "raw", "message"),
    [
        pytest.param([tensor("x", shared(byte_size=12))], [], "expected 8 bytes .* got 12", id="more than the shape"),
        pytest.param([tensor("x", shared(byte_size=4))], [], "expected 8 bytes .* got 4", id="less than the shape"),
        pytest.param(
            [tensor("x", shared())], [bytes(8)], "each of 0 inputs .1 more are in shared.*got 1", id="raw too"
        ),
        pytest.param(
            [tensor("x", shared(), contents={"fp32_contents": [1, 2]})],
            [],
            "contents or in shared memory, got both",
            id="typed too",
        ),
        pytest.param(
            [tensor("x", shared(), datatype="BYTES")], [], "2 BYTES elements in 8 bytes|left|more", id="bytes"
        ),
        pytest.param(
            [tensor("x", shared()), tensor("y")],
            [bytes(8), bytes(8)],
            "each of 1 inputs .*got 2",
            id="one raw too many",
        ),
        pytest.param([tensor("x", shared()), tensor("y")], [], "input 'y': .*got no data", id="no data for the other"),
    ],
)
def test_data_that_contradict_are_refused(regions, memory, inputs, raw, message):
    memory.buf[64:72] = b"\x01\0\0\0\0\0\0\0"
    with pytest.raises(InvalidRequest, match=message):
        decode_request(request(inputs, raw), regions)


def test_an_output_goes_into_its_region_and_the_answer_says_so(regions, memory):
    outputs = [{"name": "y", "parameters": shared(byte_size=100, offset=8)}, {"name": "z"}]
    array = np.float32([[1, 2], [3, 4]])
    tensors = (Tensor("y", DataType.FP32, array.T), Tensor("z", DataType.UINT8, np.uint8([7])))

    message = answer(tensors, outputs, regions)

    assert bytes(memory.buf[72:88]) == np.ascontiguousarray(array.T).tobytes(), "row after row, whatever the layout"
    assert list(message.raw_output_contents) == [b"", b"\x07"], "each output has its place"
    said = message.outputs[0].parameters
    assert (said["shared_memory_region"].string_param, said["shared_memory_byte_size"].int64_param) == ("r", 16)
    assert said["shared_memory_offset"].int64_param == 8
    assert not message.outputs[1].parameters


def test_bytes_and_empty_outputs_go_there_too(regions, memory):
    outputs = [{"name": "t", "parameters": shared(byte_size=6)}, {"name": "e", "parameters": shared(byte_size=0)}]
    tensors = (Tensor("t", DataType.BYTES, np.array([b"ab"], object)), Tensor("e", DataType.FP32, np.zeros((0, 4))))
    message = answer(tensors, outputs, regions)
    assert bytes(memory.buf[64:70]) == b"\x02\0\0\0ab"
    assert [output.parameters["shared_memory_byte_size"].int64_param for output in message.outputs] == [6, 0]


def test_too_little_room_names_what_is_needed_and_leaves_the_message_empty(regions):
    outputs = [{"name": "z"}, {"name": "y", "parameters": shared(byte_size=15)}]
    tensors = (Tensor("z", DataType.UINT8, np.uint8([7])), Tensor("y", DataType.FP32, np.zeros((2, 2), np.float32)))
    message = pb.ModelInferResponse()
    deliveries = decode_deliveries(outputs, regions)
    with pytest.raises(InvalidRequest, match=r"model 'm', output 'y': .* 16 bytes .* got shared_memory_byte_size 15"):
        encode_response(InferResponse("m", 1, tensors), message, deliveries)
    assert message == pb.ModelInferResponse()


def test_classes_instead_of_the_output(regions):
    outputs = [{"name": "y", "parameters": {"classification": {"int64_param": 2}}}]
    scores = Tensor("y", DataType.FP32, np.float32([[0.5, 0.75, 0.25]]))

    message = answer((scores,), outputs, regions, labels=lambda output: (f"{output}0", "b", "c"), batched=True)

    (output,) = message.outputs
    assert (output.datatype, list(output.shape)) == ("BYTES", [1, 2])
    texts = (b"0.750000:1:b", b"0.500000:0:y0")
    assert message.raw_output_contents[0] == b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param({"classification": {"int64_param": 0}}, "of at least 1, got an int64 of 0", id="none"),
        pytest.param({"classification": {"int64_param": -3}}, "got an int64 of -3", id="negative"),
        pytest.param({"classification": {"string_param": "3"}}, "got a string", id="as text"),
        pytest.param({"classification": {"double_param": 3}}, "got a double", id="as double"),
        pytest.param({"classification": {"int64_param": 3}} | shared(), "classification', got both", id="with region"),
    ],
)
def test_wrong_classification_is_refused(regions, parameters, message):
    with pytest.raises(InvalidRequest, match=f"^model 'm', output 'y'.*{message}"):
        decode_deliveries([{"name": "y", "parameters": parameters}], regions)


def test_one_output_is_delivered_in_one_way(regions):
    twice = [{"name": "y"}, {"name": "y", "parameters": {"classification": {"int64_param": 3}}}]
    with pytest.raises(InvalidRequest, match="output 'y': expected once, got it twice"):
        decode_deliveries(twice, regions)
    assert decode_deliveries([{"name": "y"}, {"name": "y"}], regions) == {"y": PLAIN}


def test_other_parameters_of_tensors_pass(regions):
    parameters = {"binary_data": {"bool_param": True}}
    assert decode_deliveries([{"name": "y", "parameters": parameters}], regions) == {"y": PLAIN}
    assert decode_request(request([tensor("x", parameters)], [bytes(8)]), regions).inputs


def test_a_region_that_nobody_registered_is_not_found(regions):
    with pytest.raises(RegionNotFound, match=r"^model 'm', input 'x'.*got 's', which is none"):
        decode_request(request([tensor("x", shared() | {"shared_memory_region": {"string_param": "s"}})]), regions)
