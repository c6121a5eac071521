"""Clients of the soak beside those of the table of faults: wrong requests, clients that leave, shared memory."""

from __future__ import annotations

import itertools
import mmap
import os
from pathlib import Path

import grpc
import numpy as np

from pasarela_proto import detection_pb2, detection_pb2_grpc, inference_pb2, inference_pb2_grpc
from tests.chaos.clients import Load, first_numbers, tensor_request
from tests.chaos.models import ADD, EYES, picture
from tests.chaos.tally import Came

STABLE = "stable"
"""The label that the soak moves."""
_PAGE = 4096


def labelled(load: Load, number: int) -> None:
    """Tensors for the version that a label names, wherever it moves."""
    noise = np.random.default_rng(number)
    with load.open() as channel:
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        while load.going:
            x = noise.integers(0, 1000, (1, 2)).astype(np.float32)
            load.tally.send()
            try:
                response = infer(tensor_request(ADD, x, STABLE), timeout=load.patience_s)
            except grpc.RpcError as error:
                load.fail(error)
                continue
            right = np.array_equal(first_numbers(response), x[0] + int(response.model_version))
            load.tally.end(Came.ANSWERED, "" if right else "wrong sum by label", wrong=not right)
            load.pause()


def wrong(load: Load, number: int) -> None:
    """Requests that are wrong, each in its way; the right answer is a refusal that says whose fault it is."""
    x = np.zeros((1, 2), np.float32)
    shape = tensor_request(ADD, x)
    shape.inputs[0].shape[1] = 7
    kinds = (
        (tensor_request("hats", x), grpc.StatusCode.NOT_FOUND),
        (tensor_request(ADD, x, "999999"), grpc.StatusCode.NOT_FOUND),
        (shape, grpc.StatusCode.INVALID_ARGUMENT),
        (inference_pb2.ModelInferRequest(model_name=ADD), grpc.StatusCode.INVALID_ARGUMENT),
        (detection_pb2.DetectRequest(model_name=EYES, image={"encoded": b"no image"}), grpc.StatusCode.INVALID_ARGUMENT),
        (detection_pb2.DetectRequest(model_name=EYES, image={"encoded": picture()[:200]}), grpc.StatusCode.INVALID_ARGUMENT),
    )  # fmt: skip
    with load.open() as channel:
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        detect = detection_pb2_grpc.DetectionServiceStub(channel).Detect
        for request, expected in itertools.cycle(kinds):
            if not load.going:
                return
            load.tally.send()
            try:
                (detect if isinstance(request, detection_pb2.DetectRequest) else infer)(
                    request, timeout=load.patience_s
                )
            except grpc.RpcError as error:
                right = error.code() is expected
                words = "" if right else f"a wrong request ended with {error.code().name}: {error.details()}"[:160]
                load.tally.end(Came.ANSWERED, words, wrong=not right)
            else:
                load.tally.end(Came.ANSWERED, "a wrong request was answered", wrong=True)
            load.pause(0.02)


def leavers(load: Load, number: int) -> None:
    """Calls and streams that are left in the middle, with connections of their own. Nobody waits for their answers."""
    request = detection_pb2.DetectRequest(model_name=EYES, image={"encoded": picture()})
    for turn in itertools.count():
        if not load.going:
            return
        with load.open() as channel:
            stub = detection_pb2_grpc.DetectionServiceStub(channel)
            if turn % 2:
                frames = iter(
                    [detection_pb2.StreamDetectRequest(frame_index=index, request=request) for index in range(20)]
                )
                call = stub.StreamDetect(frames, timeout=load.patience_s)
                next(call)
            else:
                call = stub.Detect.future(request, timeout=load.patience_s)
            load.pause(0.002 * (turn % 5))
            call.cancel()
        load.pause(0.03)


def shared_memory(load: Load, number: int) -> None:
    """Inputs that lie in memory which is shared with the server; a region for every hundred requests."""
    noise = np.random.default_rng(number)
    with load.open() as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for turn in itertools.count():
            name = f"pasarela-soak-{os.getpid()}-{number}-{turn}"
            file = Path("/dev/shm") / name
            file.write_bytes(bytes(_PAGE))
            try:
                with file.open("r+b") as opened, mmap.mmap(opened.fileno(), _PAGE) as memory:
                    stub.SystemSharedMemoryRegister(
                        inference_pb2.SystemSharedMemoryRegisterRequest(name=name, key=f"/{name}", byte_size=_PAGE)
                    )
                    for _ in range(100):
                        if not load.going:
                            break
                        _ask_through(load, stub, memory, name, noise)
                    stub.SystemSharedMemoryUnregister(inference_pb2.SystemSharedMemoryUnregisterRequest(name=name))
            finally:
                file.unlink()
            if not load.going:
                return


def _ask_through(
    load: Load,
    stub: inference_pb2_grpc.GRPCInferenceServiceStub,
    memory: mmap.mmap,
    name: str,
    noise: np.random.Generator,
) -> None:
    x = noise.integers(0, 1000, (1, 2)).astype(np.float32)
    memory[: x.nbytes] = x.tobytes()
    request = inference_pb2.ModelInferRequest(model_name=ADD)
    tensor = request.inputs.add(name="x", datatype="FP32", shape=x.shape)
    tensor.parameters["shared_memory_region"].string_param = name
    tensor.parameters["shared_memory_byte_size"].int64_param = x.nbytes
    load.tally.send()
    try:
        response = stub.ModelInfer(request, timeout=load.patience_s)
    except grpc.RpcError as error:
        load.fail(error)
        return
    right = np.array_equal(first_numbers(response), x[0] + int(response.model_version))
    load.tally.end(Came.ANSWERED, "" if right else "wrong sum of shared memory", wrong=not right)
    load.pause()
