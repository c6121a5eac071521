"""A model that fails, hangs, or whose thread dies."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import grpc
import numpy as np

from pasarela_proto import inference_pb2_grpc
from tests.chaos.clients import MIXED, Load, moody, tensor_request, tensors
from tests.chaos.models import ADD, MOODY, write_repository
from tests.chaos.row import Fault, Findings, Outcome
from tests.chaos.served import Served

_BAD = 20


def _throws(folder: Path) -> Outcome:
    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder) as server,
        grpc.insecure_channel(server.url) as channel,
        Load(server.url, (*MIXED, moody)) as load,
    ):
        findings.healthy(load)
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        fault_s = time.monotonic()
        codes = set()
        for _ in range(_BAD):
            try:
                infer(tensor_request(MOODY, np.array([[-7, 1]], np.float32)), timeout=20)
                codes.add("OK")
            except grpc.RpcError as error:
                codes.add(error.code().name)
                words = error.details() or ""
                findings.require(
                    words.startswith("ONNX Runtime failed: ") and "/" not in words, f"the failure says {words!r}"
                )
        findings.require(codes == {"INTERNAL"}, f"what fails ends with {codes}")
        findings.remarks.append(f"{_BAD} requests that make it fail: INTERNAL each")
        findings.healthy(load)
    return findings.outcome(load, fault_s, may_refuse=False)


def _thread_dies(folder: Path) -> Outcome:
    findings = Findings()
    program = ("-m", "tests.chaos.sabotaged")
    with (
        Served(write_repository(folder / "models"), folder, program=program) as server,
        Load(server.url, (*MIXED, tensors)) as load,
    ):
        findings.healthy(load)
        fault_s = time.monotonic()
        for killed in range(1, 5):  # more than there are instances, on small machines
            server.process.send_signal(signal.SIGUSR1)
            server.wait_said("sabotage: the thread of an instance ends", killed, 20)
        findings.healthy(load)
        findings.remarks.append(f"4 threads of instances of {ADD} and the detector ended")
    return findings.outcome(load, fault_s, may_fail=True)


FAULTS = (
    Fault(
        "throws",
        "a framework raises while it computes",
        "INTERNAL for that request, with what the framework says; no other notices",
        _throws,
        short=True,
    ),
    Fault(
        "thread-dies",
        "threads that execute models end",
        "an error for the requests that they were at; others are taken up",
        _thread_dies,
        short=True,
    ),
)
