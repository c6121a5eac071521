"""A real server, and clients that send it anything: bytes that are no message, messages that make no sense, no end.

What may come back is a refusal that says whose fault it is. Afterwards the server must answer as before, with the
memory, threads and descriptors that it had.
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import grpc
import psutil

from loadtest.server_process import started_server
from pasarela_client import Detector
from pasarela_proto import detection_pb2, inference_pb2
from tests.fuzz.__main__ import Outcome
from tests.fuzz.seeds import ROOT, seeds

LOADED: Final = ("--load-model", "garments", "--load-model", "garments_onnx")
THREADS: Final = 8
MOST_GROWTH_MB: Final = 64
WAIT_S: Final = 20.0
_UNARY: Final = (
    *(f"/inference.GRPCInferenceService/{name}" for name in (
        "ModelInfer", "ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics", "RepositoryIndex",
        "RepositoryModelLoad", "RepositoryModelUnload", "SystemSharedMemoryStatus", "SystemSharedMemoryRegister",
        "SystemSharedMemoryUnregister", "CudaSharedMemoryRegister", "TraceSetting", "LogSettings",
    )),
    *("/pasarela.v1.DetectionService/Detect", "/grpc.health.v1.Health/Check", "/no.such.Service/Method"),
)  # fmt: skip
_STREAMS: Final = ("/pasarela.v1.DetectionService/StreamDetect", "/inference.GRPCInferenceService/ModelStreamInfer")
_SERVERS_FAULT: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
_AS_TRITON: Final = re.compile(
    r"shared memory region .* cannot be (opened|mapped|used)|model '.*' cannot be loaded: ", re.DOTALL
)
"""INTERNAL with Triton, whose clients expect it: memory that is not there, and a load that fails (decision 12)."""


def assail(requests: int) -> Outcome:
    """Sends so many requests to a server of its own, and looks how it fares."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with started_server(ROOT / "model_repository", log, ["--model-control-mode", "explicit", *LOADED]) as server:
            process = psutil.Process(server.pid)
            _send(server.url, requests // 10, seed=0)
            _detect(server.url)
            before = _held(process)
            came = _send(server.url, requests - requests // 10, seed=1)
            fault = _fault(server.url, process, before, came, log)
    refused = sum(count for code, count in came.items() if code != "OK")
    return Outcome("socket", sum(came.values()), came["OK"], refused, time.monotonic() - begun_s, fault)


def _send(url: str, requests: int, seed: int) -> Counter[str]:
    with ThreadPoolExecutor(THREADS) as pool:
        shares = [requests // THREADS + (number < requests % THREADS) for number in range(THREADS)]
        counted = pool.map(lambda number: _one_client(url, shares[number], seed * THREADS + number), range(THREADS))
        return sum(counted, Counter[str]())


def _one_client(url: str, requests: int, seed: int) -> Counter[str]:
    chance, came = random.Random(seed), Counter[str]()
    known = [content for contents in seeds().values() for content in contents]
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
    with grpc.insecure_channel(url, options=options) as channel:
        for _ in range(requests):
            streams = chance.random() < 0.1
            method = chance.choice(_STREAMS if streams else _UNARY)
            content = _message(chance, method, known)
            try:
                if streams:
                    call = channel.stream_stream(method)
                    answers = call(iter([content] * chance.randint(0, 3)), timeout=WAIT_S)
                    if chance.random() < 0.3:
                        answers.cancel()
                    for _answer in answers:
                        pass
                else:
                    channel.unary_unary(method)(content, timeout=WAIT_S)
                came["OK"] += 1
            except grpc.RpcError as error:
                code, details = error.code(), error.details() or ""
                servers_fault = code in _SERVERS_FAULT and not _AS_TRITON.match(details)
                came[f"{code.name}: {details}" if servers_fault else code.name] += 1
    return came


def _message(chance: random.Random, method: str, known: Sequence[bytes]) -> bytes:
    """Half of the time bytes that are spoiled themselves, else a message that holds what is spoiled."""
    spoiled = _spoiled(chance, chance.choice(known))
    if chance.random() < 0.5:
        return spoiled
    text = spoiled.decode("utf-8", "replace")
    model = chance.choice(("garments", "garments_onnx", "hats", "../garments", ""))
    match method.rpartition("/")[2]:
        case "Detect" | "StreamDetect" as name:
            request = detection_pb2.DetectRequest(model_name=model, image={"encoded": spoiled})
            if name == "Detect":
                return request.SerializeToString()
            return detection_pb2.StreamDetectRequest(frame_index=1, request=request).SerializeToString()
        case "ModelInfer" | "ModelStreamInfer":
            infer = inference_pb2.ModelInferRequest(model_name=model, raw_input_contents=[spoiled])
            infer.inputs.add(name="images", datatype=chance.choice(("FP32", "BYTES", "INT8")), shape=[1, len(spoiled)])
            return infer.SerializeToString()
        case "RepositoryModelLoad":
            load = inference_pb2.RepositoryModelLoadRequest(model_name=model)
            load.parameters[chance.choice(("config", "file:1/model.onnx", "file:../../x"))].string_param = text
            return load.SerializeToString()
        case "SystemSharedMemoryRegister":
            key = chance.choice((text, "/../../etc/passwd", "/x", ""))
            size = chance.choice((0, 1, 2**63))
            return inference_pb2.SystemSharedMemoryRegisterRequest(
                name=text[:9], key=key, offset=size, byte_size=size
            ).SerializeToString()
        case _:
            return inference_pb2.ModelReadyRequest(name=model, version=text[:3]).SerializeToString()


def _spoiled(chance: random.Random, content: bytes) -> bytes:
    spoiled = bytearray(content)
    for _ in range(chance.randint(0, 6)):
        match chance.randint(0, 3):
            case 0 if spoiled:
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            case 1:
                del spoiled[chance.randint(0, len(spoiled)) :]
            case 2:
                at = chance.randint(0, len(spoiled))
                spoiled[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                spoiled += spoiled[: chance.randint(0, 64)]
    return bytes(spoiled)


def _held(process: psutil.Process) -> dict[str, int]:
    return {
        "resident MB": process.memory_info().rss // 2**20,
        "threads": process.num_threads(),
        "descriptors": process.num_fds(),
    }


def _fault(url: str, process: psutil.Process, before: dict[str, int], came: Counter[str], log: Path) -> str:
    """What is wrong with the server now; empty if nothing is."""
    if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
        return f"the server ended: {log.read_text(errors='replace')[-300:]}"
    worst = [f"{count} x {code}" for code, count in came.items() if ":" in code]
    if worst:
        return f"told as the server's fault: {'; '.join(worst[:5])}"
    if came["DEADLINE_EXCEEDED"]:
        return f"{came['DEADLINE_EXCEEDED']} had no answer within {WAIT_S:g} s"
    if "Traceback" in (text := log.read_text(errors="replace")):
        return f"the log has a traceback: …{text[text.index('Traceback') :][:600]}"
    _detect(url)
    for _ in range(50):
        after = _held(process)
        if after["descriptors"] <= before["descriptors"] + 2:
            break
        time.sleep(0.1)  # connections of clients that are gone are closed by gRPC in its own time
    if (
        after["resident MB"] > before["resident MB"] + MOST_GROWTH_MB
        or after["descriptors"] > before["descriptors"] + 2
    ):
        return f"it holds more than before: {before} before, {after} now"
    return ""


def _detect(url: str) -> None:
    """The server answers as it should, whatever it was told to unload; and has all that a lonely client makes it do."""
    with grpc.insecure_channel(url) as channel:
        load = channel.unary_unary(
            "/inference.GRPCInferenceService/RepositoryModelLoad",
            inference_pb2.RepositoryModelLoadRequest.SerializeToString,
        )
        load(inference_pb2.RepositoryModelLoadRequest(model_name="garments"), timeout=60)
    with Detector(url, "garments") as detector:
        for _ in range(20):
            detector.detect(ROOT / "tests" / "data" / "sample.jpg")
