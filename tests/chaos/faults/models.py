"""A model that fails, hangs, or whose thread dies."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np

from pasarela_proto import inference_pb2, inference_pb2_grpc
from tests.chaos.clients import MIXED, Load, moody, tensor_request, tensors
from tests.chaos.models import MOODY, write_repository
from tests.chaos.row import Fault, Findings, Outcome
from tests.chaos.served import Served, wait_for
from tests.hostile_backend import SIGFPE, SIGSEGV, write_hostile
from tests.hostile_server import HOSTILE

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
        findings.remarks.append("4 threads ended")
    return findings.outcome(load, fault_s, may_fail=True)


def _hangs(folder: Path, *flags: str) -> Outcome:
    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder, "--inference-timeout-secs", "2", *flags) as server,
        grpc.insecure_channel(server.url) as channel,
        Load(server.url, (*MIXED, moody)) as load,
    ):
        findings.healthy(load)
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        fault_s = time.monotonic()
        calls = [infer.future(tensor_request(MOODY, np.array([[1, 1e12]], np.float32)), timeout=30) for _ in range(2)]
        codes = {call.code().name for call in calls}
        gave_up_s = time.monotonic() - fault_s
        findings.require(codes == {"INTERNAL"}, f"what hangs ends with {codes}")
        findings.require(all("took longer than 2 s" in (call.details() or "") for call in calls), "it does not say why")
        findings.healthy(load)
        code = server.stop()
        findings.require(code == 0, f"exit code {code} afterwards")
        findings.remarks.append(f"two requests that hang: INTERNAL after {gave_up_s:.1f} s")
        server.again()
        server.wait_ready()
        findings.healthy(load)
    outcome = findings.outcome(load, fault_s, may_fail=True)
    return replace(outcome, recover_s=gave_up_s)


def _hangs_here(folder: Path) -> Outcome:
    return _hangs(folder)


def _hangs_apart(folder: Path) -> Outcome:
    return _hangs(folder, "--isolation", "process")


def _kills(folder: Path) -> Outcome:
    findings = Findings()
    root = write_repository(folder / "models")
    write_hostile(root / "hostile")
    with (
        Served(root, folder, "--isolation", "process", under=HOSTILE) as server,
        grpc.insecure_channel(server.url) as channel,
        Load(server.url, MIXED) as load,
    ):
        findings.healthy(load)
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        fault_s = time.monotonic()
        longest_s = 0.0
        for what in (SIGFPE, SIGSEGV, SIGFPE):
            died_s = time.monotonic()
            try:
                stub.ModelInfer(tensor_request("hostile", np.array([[what, 0]], np.float32)), timeout=30)
                findings.require(False, "what kills its process was answered")
            except grpc.RpcError as error:
                findings.require(error.code() is grpc.StatusCode.INTERNAL, f"it ends with {error.code()}")
            ready = wait_for(lambda: stub.ModelReady(inference_pb2.ModelReadyRequest(name="hostile")).ready, 30)
            findings.require(ready, "the model does not come back")
            longest_s = max(longest_s, time.monotonic() - died_s)
        findings.healthy(load)
        findings.remarks.append(
            f"three times, by SIGFPE and SIGSEGV; the model itself is ready after {longest_s:.1f} s at most"
        )
    return findings.outcome(load, fault_s, may_refuse=False)


def _processes_die(folder: Path) -> Outcome:
    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder, "--isolation", "process") as server,
        Load(server.url, MIXED) as load,
    ):
        findings.healthy(load)
        victims = server.children()
        findings.require(len(victims) >= 3, f"it has {len(victims)} processes only")
        fault_s = time.monotonic()
        for victim in victims:
            victim.kill()
        findings.healthy(load)
        findings.remarks.append(f"{len(victims)} processes killed at once")
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
    Fault(
        "hangs",
        "inferences that never end (`--inference-timeout-secs 2`)",
        "INTERNAL for those, when the time is over; no other notices; it still stops, with exit code 0",
        _hangs_here,
        short=True,
    ),
    Fault(
        "hangs-apart",
        "the same with `--isolation process`",
        "INTERNAL for those; what was under way in the same process may fail, too",
        _hangs_apart,
    ),
    Fault(
        "kills",
        "a request that kills the process that computes it (`--isolation process`)",
        "INTERNAL for that request; its model is refused as UNAVAILABLE until it is back; other models do not notice",
        _kills,
    ),
    Fault(
        "processes-die",
        "all processes that run models are killed (`--isolation process`)",
        "INTERNAL for what was under way, then UNAVAILABLE until they are back",
        _processes_die,
    ),
)
