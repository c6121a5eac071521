"""The shared-memory RPCs over a socket, on real POSIX shared memory; CUDA's on a device that is made up."""

import asyncio
from multiprocessing import shared_memory

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import RegionExists, RegionNotFound, Unsupported
from pasarela_server.rpc.shared_memory import SharedMemoryCalls


@pytest.fixture
def memory():
    made = shared_memory.SharedMemory(create=True, size=256)
    yield made
    made.close()
    made.unlink()


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details()


async def register(served, name, memory, offset=0, byte_size=64):
    request = pb.SystemSharedMemoryRegisterRequest(name=name, key=memory.name, offset=offset, byte_size=byte_size)
    await served.inference.SystemSharedMemoryRegister(request)


async def unregister(served, name=""):
    await served.inference.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest(name=name))


async def status(served, name=""):
    response = await served.inference.SystemSharedMemoryStatus(pb.SystemSharedMemoryStatusRequest(name=name))
    return {
        name: (region.name, region.key, region.offset, region.byte_size) for name, region in response.regions.items()
    }


def place(region, byte_size=16, offset=0):
    return {
        "shared_memory_region": {"string_param": region},
        "shared_memory_byte_size": {"int64_param": byte_size},
        "shared_memory_offset": {"int64_param": offset},
    }


def request(inputs=None, outputs=None, raw=()):
    return pb.ModelInferRequest(
        model_name="m",
        inputs=[{"name": "x", "datatype": "FP32", "shape": [2, 2], "parameters": inputs or {}}],
        outputs=[{"name": "x", "parameters": outputs or {}}],
        raw_input_contents=raw,
    )


async def test_register_status_unregister(served, memory):
    assert await status(served) == {}
    await register(served, "a", memory, offset=32)
    await register(served, "b", memory)
    assert await status(served) == {"a": ("a", memory.name, 32, 64), "b": ("b", memory.name, 0, 64)}
    assert list(await status(served, "b")) == ["b"]

    await unregister(served, "a")
    await unregister(served, "never registered")
    assert list(await status(served)) == ["b"]
    await unregister(served)
    assert await status(served) == {}
    await unregister(served)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"name": "a"}, "ALREADY_EXISTS", id="registered twice"),
        pytest.param({"key": "/pasarela-none"}, "INTERNAL", id="cannot be opened"),
        pytest.param({"name": ""}, "INVALID_ARGUMENT", id="no name"),
        pytest.param({"key": ""}, "INVALID_ARGUMENT", id="no key"),
        pytest.param({"key": "/../etc/passwd"}, "INVALID_ARGUMENT", id="a path as key"),
        pytest.param({"byte_size": 0}, "INVALID_ARGUMENT", id="nothing"),
        pytest.param({"byte_size": 2**64 - 1}, "INVALID_ARGUMENT", id="absurd size"),
        pytest.param({"offset": 2**64 - 1}, "INVALID_ARGUMENT", id="absurd offset"),
        pytest.param({"offset": 200}, "INVALID_ARGUMENT", id="over the object's end"),
    ],
)
async def test_what_cannot_be_registered(served, memory, changes, code):
    await register(served, "a", memory)
    fields = {"name": "b", "key": memory.name, "offset": 0, "byte_size": 64} | changes
    failure = await refusal(served.inference.SystemSharedMemoryRegister(pb.SystemSharedMemoryRegisterRequest(**fields)))
    assert failure[0] == code
    assert "/dev" not in failure[1]
    assert list(await status(served)) == ["a"]


async def test_status_of_an_unknown_region(served):
    assert (await refusal(status(served, "a")))[0] == "NOT_FOUND"


async def test_tensors_come_from_and_go_to_memory(served, memory):
    memory.buf[8:24] = np.float32([1, 2, 3, 4]).tobytes()
    await register(served, "a", memory)

    response = await served.inference.ModelInfer(request(place("a", 16, 8), place("a", 32, 24)))

    assert bytes(memory.buf[24:40]) == np.float32([1, 2, 3, 4]).tobytes()
    assert list(response.raw_output_contents) == [b""]
    assert response.outputs[0].parameters["shared_memory_byte_size"].int64_param == 16


async def test_an_output_that_does_not_fit_is_a_failed_request(served, memory):
    await register(served, "a", memory)
    raw = [np.float32([1, 2, 3, 4]).tobytes()]
    code, message = await refusal(served.inference.ModelInfer(request(None, place("a", 8), raw)))
    assert code == "INVALID_ARGUMENT"
    assert "16 bytes" in message
    assert "byte_size 8" in message
    assert served.models.handles == 0


async def test_a_region_may_be_forgotten_while_a_request_uses_it(served, memory):
    started, go_on = asyncio.Event(), asyncio.Event()
    infer = served.servable.infer

    async def wait(request):
        started.set()
        await go_on.wait()
        return await infer(request)

    served.servable.infer = wait
    memory.buf[:16] = np.float32([1, 2, 3, 4]).tobytes()
    await register(served, "a", memory)
    answer = asyncio.ensure_future(served.inference.ModelInfer(request(place("a"), place("a", offset=32))).code())
    await started.wait()
    await unregister(served)
    memory.buf[:4] = np.float32([9]).tobytes()
    go_on.set()

    assert await answer is grpc.StatusCode.OK
    assert bytes(memory.buf[32:48]) == np.float32([9, 2, 3, 4]).tobytes()
    assert (await refusal(served.inference.ModelInfer(request(place("a")))))[0] == "NOT_FOUND"


async def test_classes_of_an_output(served):
    outputs = {"classification": {"int64_param": 1}}
    response = await served.inference.ModelInfer(request(None, outputs, [np.float32([1, 2, 4, 3]).tobytes()]))
    assert (response.outputs[0].datatype, list(response.outputs[0].shape)) == ("BYTES", [2, 1])
    texts = (b"2.000000:1:skirt", b"4.000000:0:shirt")
    assert response.raw_output_contents[0] == b"".join(bytes([len(text), 0, 0, 0]) + text for text in texts)


async def test_what_works_is_advertised(served):
    metadata = await served.inference.ServerMetadata(pb.ServerMetadataRequest())
    assert {"system_shared_memory", "classification"} <= set(metadata.extensions)
    assert "cuda_shared_memory" not in metadata.extensions


class FakeDevice:
    """A device with 64 bytes behind any handle."""

    def open(self, handle, device_id):
        return 1000, 64

    def close(self, address, device_id):
        pass


def cuda_request(name="c", byte_size=64):
    return pb.CudaSharedMemoryRegisterRequest(name=name, raw_handle=b"h" * 64, device_id=1, byte_size=byte_size)


def test_cuda_where_there_is_a_device(memory):
    calls = SharedMemoryCalls(FakeDevice())
    calls.cuda_register(cuda_request())
    assert calls.extensions == ("system_shared_memory", "cuda_shared_memory")
    (region,) = calls.cuda_status(pb.CudaSharedMemoryStatusRequest()).regions.values()
    assert (region.name, region.device_id, region.byte_size) == ("c", 1, 64)
    with pytest.raises(RegionExists):
        calls.cuda_register(cuda_request())
    with pytest.raises(RegionNotFound):
        calls.system_status(pb.SystemSharedMemoryStatusRequest(name="c"))

    calls.system_unregister(pb.SystemSharedMemoryUnregisterRequest())
    assert calls.cuda_status(pb.CudaSharedMemoryStatusRequest(name="c")).regions
    calls.cuda_unregister(pb.CudaSharedMemoryUnregisterRequest(name="c"))
    assert not calls.cuda_status(pb.CudaSharedMemoryStatusRequest()).regions


def test_cuda_where_there_is_none():
    calls = SharedMemoryCalls("there is no such device")
    for call, message in (
        (calls.cuda_register, cuda_request()),
        (calls.cuda_status, pb.CudaSharedMemoryStatusRequest()),
    ):
        with pytest.raises(Unsupported, match=r"CudaSharedMemory\w+ is not offered .* no such device"):
            call(message)
    assert calls.cuda_unregister(pb.CudaSharedMemoryUnregisterRequest()) == pb.CudaSharedMemoryUnregisterResponse()
    assert calls.cuda_unregister(pb.CudaSharedMemoryUnregisterRequest(name="c")) is not None
