"""How often the bytes of a tensor are copied between the message that gRPC hands over and the model, and back.

gRPC itself copies every message once or twice on its way in, and once on its way out; nothing here can change that.
"""

import tracemalloc
from contextlib import contextmanager
from multiprocessing import shared_memory
from types import SimpleNamespace

import numpy as np
import pytest

from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb
from pasarela_server.config.model import ModelConfig
from pasarela_server.observability.metrics import Metrics
from pasarela_server.repository.servable import Handle
from pasarela_server.request import InferResponse
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection_codec import decode_image_source
from pasarela_server.rpc.inference import InferenceService
from pasarela_server.rpc.messages import Reply, read_request, write_reply, write_stream_reply
from pasarela_server.rpc.shared_memory import SharedMemoryCalls
from pasarela_server.scheduling.batch import gather
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.scheduler import Scheduler
from pasarela_server.tensor import DataType, Tensor

SHAPE = (1, 3, 640, 640)
SIZE = 4 * 3 * 640 * 640
JPEG = b"\xff\xd8" + bytes(SIZE - 2)


@contextmanager
def counted(copies):
    """Fails unless the block holds as many copies of a tensor at once, beside what was there before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert round((peak - before) / SIZE, 1) == copies


@pytest.fixture
def region():
    memory = shared_memory.SharedMemory(create=True, size=2 * SIZE)
    calls = SharedMemoryCalls()
    calls.system_register(pb.SystemSharedMemoryRegisterRequest(name="r", key=memory.name, offset=0, byte_size=2 * SIZE))
    yield SimpleNamespace(buffer=memory.buf, calls=calls)
    calls.system_unregister(pb.SystemSharedMemoryUnregisterRequest(name="r"))
    memory.close()
    memory.unlink()


class Model:
    """Keeps what it was given, answers with an output of its own."""

    version = 1
    config = ModelConfig(name="m", backend="fake", inputs=(), outputs=(), max_batch_size=8)

    def __init__(self, output):
        self.given = None
        self.output = output

    def labels(self, output):
        return ()

    async def infer(self, request):
        (tensor,) = request.inputs
        self.given = tensor.array
        return InferResponse("m", 1, (Tensor("y", DataType.FP32, self.output),), request.id)


@pytest.fixture
def model():
    return Model(np.zeros((1, 2), np.float32))


@pytest.fixture
def service(model, region):
    models = SimpleNamespace(acquire=lambda name, version: Handle(model, lambda: None))
    return InferenceService(models, OpenCalls(), Metrics(), "1", shared_memory=region.calls)


CONTEXT = SimpleNamespace(time_remaining=lambda: None)


def shared(offset=0):
    return {
        "shared_memory_region": {"string_param": "r"},
        "shared_memory_byte_size": {"int64_param": SIZE},
        "shared_memory_offset": {"int64_param": offset},
    }


def message(padding=0, raw=(), datatype="FP32", shape=SHAPE, outputs=(), **tensor):
    """A request; the padding moves what comes behind it."""
    return pb.ModelInferRequest(
        model_name="m",
        id="x" * padding,
        inputs=[{"name": "x", "datatype": datatype, "shape": shape} | tensor],
        raw_input_contents=raw,
        outputs=outputs,
    ).SerializeToString()


def raw_message(*, aligned):
    """A request whose raw contents begin where a float may begin, or where none may."""
    padded = (message(padding, [bytes(SIZE)]) for padding in range(1, 9))
    return next(
        serialized
        for serialized in padded
        if (np.frombuffer(serialized, np.uint8).ctypes.data + len(serialized) - SIZE) % 4 == (0 if aligned else 2)
    )


INPUTS = [
    pytest.param(lambda: raw_message(aligned=True), 0, id="raw contents are seen where they are in the message"),
    pytest.param(lambda: raw_message(aligned=False), 0, id="also where no float would begin"),
    pytest.param(lambda: message(parameters=shared()), 0, id="shared memory is seen where it is"),
    pytest.param(
        lambda: message(raw=[len(JPEG).to_bytes(4, "little") + JPEG], datatype="BYTES", shape=[1]),
        1,
        id="an element of BYTES is copied once: it outlives its tensor",
    ),
    pytest.param(
        lambda: message(contents={"fp32_contents": np.zeros(SIZE // 4, np.float32).tolist()}),
        1,
        id="a typed list of floats is copied once, beside protobuf's own",
    ),
]


@pytest.mark.parametrize(("make", "copies"), INPUTS)
async def test_on_the_way_in(service, model, make, copies):
    serialized = make()
    with counted(copies):
        await service.ModelInfer(read_request(serialized), CONTEXT)
    assert model.given.size in {1, SIZE // 4}
    if len(serialized) > SIZE:
        assert np.shares_memory(model.given, np.frombuffer(serialized, np.uint8)) == (copies == 0)
    model.given = None


@pytest.mark.parametrize(
    "image",
    [
        pytest.param({"encoded": JPEG}, id="a picture's file"),
        pytest.param({"raw": {"height": 1280, "width": 1280, "pixels": bytes(SIZE)}}, id="pixels"),
    ],
)
def test_an_image_is_taken_out_of_its_message_once_and_not_copied_again(image):
    received = detection_pb2.DetectRequest.FromString(detection_pb2.DetectRequest(image=image).SerializeToString())
    with counted(1):
        source = decode_image_source("m", received.image)
    assert len(source) in {SIZE, 1280}


async def test_shared_memory_is_seen_where_it_is(service, model, region):
    await service.ModelInfer(read_request(message(parameters=shared(SIZE))), CONTEXT)
    region.buffer[SIZE : SIZE + 4] = np.float32(7).tobytes()
    assert model.given[0, 0, 0, 0] == 7
    model.given = None


def view(offset):
    """A tensor over bytes of which the first is at a multiple of 16."""
    return np.frombuffer(bytes(SIZE + 16), np.float32, SIZE // 4, offset).reshape(SHAPE)


@pytest.mark.parametrize(
    ("arrays", "copies"),
    [
        pytest.param([view(0)], 0, id="one request is executed as it is"),
        pytest.param([view(2)], 1, id="copied once if processors cannot read it there"),
        pytest.param([view(0), view(2)], 2, id="each request of a batch is copied once into it, wherever it is"),
    ],
)
def test_on_the_way_into_the_model(arrays, copies):
    parts = [{"x": array} for array in arrays]
    with counted(copies):
        gathered = gather(parts)["x"]
    assert gathered.flags.aligned
    assert gathered.shape == (len(arrays), *SHAPE[1:])
    assert np.shares_memory(gathered, arrays[0]) == (copies == 0)


class Parts:
    """A session that puts batches together itself."""

    def infer(self, inputs):
        return self.infer_parts([inputs])

    def infer_parts(self, parts):
        self.given = [part["x"] for part in parts]
        return {"y": np.zeros((len(parts), 1), np.float32)}


def test_on_the_way_into_a_model_that_puts_batches_together_itself():
    session, arrays = Parts(), [view(0), view(2)]
    scheduler = Scheduler("m", [session], BatchingPolicy(max_rows=2))
    answers = [scheduler.submit({"x": array}, 1) for array in arrays]
    scheduler.start()
    for answer in answers:
        answer.result(30)
    scheduler.stop()
    assert [given.flags.aligned for given in session.given] == [True, True]
    assert np.shares_memory(session.given[0], arrays[0])


OUTPUTS = [
    pytest.param(np.zeros(SHAPE, np.float32), id="an array of its own"),
    pytest.param(np.zeros((4, *SHAPE[1:]), np.float32)[2:3], id="a row of a batch"),
]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("write", [write_reply, write_stream_reply], ids=["a reply", "a reply on a stream"])
async def test_on_the_way_out_the_message_is_the_only_copy(service, model, output, write):
    model.output = output
    request = read_request(message(parameters=shared()))
    with counted(1):
        reply = await service.ModelInfer(request, CONTEXT)
        if write is write_stream_reply:
            reply = Reply(pb.ModelStreamInferResponse(infer_response=reply.message), reply.raw)
        written = write(reply)
    assert len(written) > SIZE
    model.given = None


async def test_an_output_is_written_to_shared_memory_without_a_copy_beside_it(service, model, region):
    model.output = np.full(SHAPE, 5, np.float32)
    request = read_request(message(parameters=shared(), outputs=[{"name": "y", "parameters": shared(SIZE)}]))
    with counted(0):
        written = write_reply(await service.ModelInfer(request, CONTEXT))
    assert len(written) < 1000
    assert region.buffer[SIZE : 2 * SIZE] == model.output.tobytes()
    model.given = None
