"""200 loads and unloads of each backend: memory, threads and file descriptors are what they were."""

import re
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc
from tests.tiny_models import TORCHSCRIPT_CONFIG, write_exported_program, write_onnx, write_openvino, write_torchscript

LOADS = 200
WARM_AFTER = 40
"""Loads after which a backend's own caches, and those of the allocator, are full."""
BACKENDS = {
    "onnxruntime": (write_onnx, ""),
    "openvino": (write_openvino, ""),
    "pytorch": (write_torchscript, TORCHSCRIPT_CONFIG),
    "torch.export": (write_exported_program, 'output { name: "y" }'),
}


@pytest.fixture(params=BACKENDS)
def folder(request, tmp_path):
    """The folder of a model 'm' of one backend."""
    write, config = BACKENDS[request.param]
    folder = tmp_path / "models" / "m"
    write(folder / "1", 1)
    (folder / "config.pbtxt").write_text(config)
    return folder


def status(pid, field):
    return int(re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])


def footprint(pid):
    """Threads and file descriptors; those of a request that has just ended need a moment to go."""
    return status(pid, "Threads"), len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.timeout(300)
def test_what_was_loaded_is_freed(folder, start_server):
    message = pb.ModelInferRequest(model_name="m", raw_input_contents=[np.float32([[1, 2]]).tobytes()])
    message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    with (
        start_server(folder.parent, "--model-control-mode", "explicit") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        pid = server.process.pid
        memory_kb, footprints = [], []
        for _ in range(LOADS):
            stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="m"))
            reply = stub.ModelInfer(message)
            assert np.frombuffer(reply.raw_output_contents[0], np.float32).tolist() == [2, 3]
            stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="m"))
            memory_kb.append(status(pid, "VmRSS"))
            footprints.append(footprint(pid))

        warm, last = memory_kb[WARM_AFTER - 20 : WARM_AFTER], memory_kb[-20:]
        assert np.median(last) <= 1.05 * np.median(warm), f"kB of memory: {memory_kb[::10]}"
        expected = min(footprints[WARM_AFTER - 20 : WARM_AFTER])
        give_up_s = time.monotonic() + 30
        while footprint(pid) != expected and time.monotonic() < give_up_s:
            threading.Event().wait(0.1)
        assert footprint(pid) == expected, "threads and file descriptors"
        assert "Traceback" not in server.log.read_text()
