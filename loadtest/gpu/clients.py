"""Closed-loop clients of a GPU benchmark, spread over processes: one process cannot ask fast enough."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import shared_memory
from multiprocessing.synchronize import Barrier
from typing import Any

import grpc
import numpy as np

from pasarela_proto import detection_pb2, inference_pb2, inference_pb2_grpc

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
_DETECT = "/pasarela.v1.DetectionService/Detect"
_INFER = "/inference.GRPCInferenceService/ModelInfer"
_WARM_S = 2.0
_start: Barrier | None = None
"""In a client's process: where all of them wait for each other."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who asks for what."""

    url: str
    model: str
    processes: int
    clients: int
    """In all processes together."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What the clients got."""

    per_second: float
    p50_ms: float
    p99_ms: float
    client_cores: float
    """That the clients kept busy, and that the server therefore did not have."""


def detect(load: Load, images: Sequence[bytes]) -> Taken:
    """Encoded images to detections; images per second."""
    messages = [
        detection_pb2.DetectRequest(model_name=load.model, image=detection_pb2.Image(encoded=image)).SerializeToString()
        for image in images
    ]
    return _measure(load, _DETECT, [messages] * load.clients)


def infer(load: Load, rows: int, side: int, output_bytes: int) -> Taken:
    """Raw tensors (rows, 3, side, side) FP32 in the system's shared memory, a place of its own for each client.

    Args:
        load: Who asks for what.
        rows: Of each request.
        side: Of the images.
        output_bytes: Of one row's answer.

    Returns:
        Images per second: each row counts.
    """
    size, output_bytes = rows * 3 * side * side * 4, rows * output_bytes
    memory = shared_memory.SharedMemory(create=True, size=load.clients * (size + output_bytes))
    try:
        np.ndarray(memory.size // 4, np.float32, memory.buf)[:] = 0.5
        with grpc.insecure_channel(load.url) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            stub.SystemSharedMemoryUnregister(inference_pb2.SystemSharedMemoryUnregisterRequest(name="load"))
            stub.SystemSharedMemoryRegister(
                inference_pb2.SystemSharedMemoryRegisterRequest(
                    name="load", key=f"/{memory.name.lstrip('/')}", byte_size=memory.size
                )
            )
            outputs_at = load.clients * size
            requests = [
                _request(
                    load.model,
                    (rows, 3, side, side),
                    (number * size, size),
                    (outputs_at + number * output_bytes, output_bytes),
                )
                for number in range(load.clients)
            ]
            taken = _measure(load, _INFER, [[request] for request in requests])
            stub.SystemSharedMemoryUnregister(inference_pb2.SystemSharedMemoryUnregisterRequest(name="load"))
    finally:
        memory.close()
        memory.unlink()
    return replace(taken, per_second=rows * taken.per_second)


def _request(model: str, shape: tuple[int, ...], source: tuple[int, int], target: tuple[int, int]) -> bytes:
    request = inference_pb2.ModelInferRequest(model_name=model)
    tensor = request.inputs.add(name="images", datatype="FP32", shape=shape)
    output = request.outputs.add(name="output0")
    for parameters, (offset, size) in ((tensor.parameters, source), (output.parameters, target)):
        parameters["shared_memory_region"].string_param = "load"
        parameters["shared_memory_offset"].int64_param = offset
        parameters["shared_memory_byte_size"].int64_param = size
    return request.SerializeToString()


def _measure(load: Load, method: str, messages: list[list[bytes]]) -> Taken:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(load.processes)
    shares = [messages[number :: load.processes] for number in range(load.processes)]
    with ProcessPoolExecutor(load.processes, context, _begin_together, (start,)) as pool:
        asked = [pool.submit(_process, load.url, method, load.seconds, share) for share in shares]
    failures = [one.exception() for one in asked]
    for failure in failures:
        # The others only say that the one that failed did not come.
        if failure is not None and not isinstance(failure, threading.BrokenBarrierError):
            raise failure
    parts = [one.result() for one in asked]
    latencies = np.sort(np.concatenate([part[0] for part in parts]))
    p50, p99 = np.percentile(latencies, (50, 99))
    return Taken(len(latencies) / load.seconds, float(p50), float(p99), sum(part[1] for part in parts))


def _begin_together(start: Barrier) -> None:
    """Makes the barrier known to a new process: it can be inherited, not sent."""
    global _start  # noqa: PLW0603
    _start = start


def _process(url: str, method: str, seconds: float, messages: list[list[bytes]]) -> tuple[np.ndarray, float]:
    try:
        return asyncio.run(_clients(url, method, messages, seconds))
    except grpc.RpcError as error:
        assert _start is not None
        _start.abort()
        raise RuntimeError(f"a client failed: {error}") from None


async def _clients(url: str, method: str, messages: list[list[bytes]], seconds: float) -> tuple[np.ndarray, float]:
    assert _start is not None
    taken: list[tuple[float, float]] = []
    async with contextlib.AsyncExitStack() as undo:
        channels = [
            # One for each client: a server of several processes gets few connections unevenly.
            await undo.enter_async_context(grpc.aio.insecure_channel(url, options=_OPTIONS))
            for _ in messages
        ]
        calls: list[Any] = [channel.unary_unary(method) for channel in channels]
        for call in calls:
            await call(messages[0][0])
        await asyncio.to_thread(_start.wait, 60)
        begun = time.perf_counter() + _WARM_S
        until = begun + seconds

        async def client(number: int, own: list[bytes]) -> None:
            position, call = number, calls[number]
            while (sent := time.perf_counter()) < until:
                await call(own[position % len(own)])
                taken.append((sent, time.perf_counter()))
                position += 1

        clients = asyncio.gather(*(client(number, own) for number, own in enumerate(messages)))
        await asyncio.sleep(_WARM_S)
        busy = time.process_time()
        await asyncio.sleep(seconds)
        cores = (time.process_time() - busy) / seconds
        await clients
    return np.array([(ended - sent) * 1e3 for sent, ended in taken if begun <= ended < until]), cores
