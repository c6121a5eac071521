"""The process is told to stop, is killed, or finds its port taken."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np

from pasarela_proto import inference_pb2_grpc
from tests.chaos.clients import (
    MIXED,
    Load,
    first_numbers,
    library,
    library_stream,
    new_connections,
    tensor_request,
    tensors,
)
from tests.chaos.models import MOODY, ROUNDS_A_SECOND, write_repository
from tests.chaos.row import Fault, Findings, Outcome
from tests.chaos.served import Served, health_of, wait_for

_NOT_SERVING = 2
_GRACE_S = 20.0
_AT_THE_DOOR = 5
"""As many as there are clients: each has one call under way."""


def _sigterm(folder: Path) -> Outcome:
    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder, "--exit-timeout-secs", f"{_GRACE_S:g}") as server,
        health_of(server.url) as health,
        ThreadPoolExecutor(2) as pool,
        Load(server.url, (*MIXED, new_connections)) as load,
    ):
        findings.healthy(load)
        long_ones = [pool.submit(_long, server.url, number) for number in range(2)]
        time.sleep(0.3)
        findings.require(not any(each.done() for each in long_ones), "nothing long was under way")
        fault_s = time.monotonic()
        code = server.stop()
        ended_s = time.monotonic()
        told_s = health.first(_NOT_SERVING)
        findings.require(code == 0, f"exit code {code}")
        findings.require(ended_s - fault_s < _GRACE_S, f"it took {ended_s - fault_s:.1f} s to end")
        findings.require(told_s is not None, "health never said NOT_SERVING")
        findings.require(told_s is None or told_s < ended_s - 0.05, "health said NOT_SERVING only at the end")
        findings.require(all(each.result() for each in long_ones), "a long request that was accepted was not answered")
        findings.remarks.append(f"ended after {ended_s - fault_s:.1f} s, exit code {code}")
        server.again()
        server.wait_ready()
        findings.healthy(load)
    findings.require("Traceback" not in server.said(), "its log has a traceback")
    counts = load.tally.counts()
    findings.require(counts.refused > 0, "nothing was refused: there was no load")
    # What has come to gRPC and not yet to the server when the port closes ends so; nothing was done for it (decision 61).
    cancelled = sum(times for words, times in load.tally.words().items() if words.startswith("CANCELLED"))
    return findings.outcome(load, fault_s, may_fail=counts.failed == cancelled <= _AT_THE_DOOR)


def _long(url: str, number: int) -> bool:
    """A request that takes about a second; whether it was answered rightly."""
    x = np.array([[number, ROUNDS_A_SECOND]], np.float32)
    with grpc.insecure_channel(url, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            response = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(
                tensor_request(MOODY, x), timeout=60
            )
        except grpc.RpcError:
            return False
    return bool(np.array_equal(first_numbers(response), x[0] + 1))


def _sigkill(folder: Path) -> Outcome:
    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder) as server,
        Load(server.url, (library, library, library_stream), patience_s=60.0) as load,
    ):
        findings.healthy(load)
        fault_s = time.monotonic()
        server.kill()
        server.again()
        server.wait_ready()
        ready_s = time.monotonic()
        findings.healthy(load)
    findings.remarks.append(f"ready again after {ready_s - fault_s:.1f} s")
    outcome = findings.outcome(load, fault_s, may_refuse=False)
    return Outcome(outcome.counts, ready_s - fault_s, outcome.problems, outcome.remarks, outcome.told)


def _port(folder: Path) -> Outcome:
    findings = Findings()
    with Served(write_repository(folder / "models"), folder) as server, Load(server.url, MIXED) as load:
        findings.healthy(load)
        fault_s = time.monotonic()
        host, _, port = server.url.rpartition(":")
        flags = ["--model-repository", str(folder / "models"), "--grpc-address", host, "--grpc-port", port]
        ended = subprocess.run(
            [sys.executable, "-m", "pasarela_server", *flags, "--metrics-port", "0"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        findings.require(ended.returncode == 1, f"the second server ended with {ended.returncode}")
        lines = ended.stderr.splitlines()
        findings.require(len(lines) == 1 and "--grpc-port" in lines[0], f"the second server said {ended.stderr!r}")
        findings.healthy(load)
    return findings.outcome(load, fault_s, may_refuse=False)


def _front(folder: Path) -> Outcome:
    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder, "--frontends", "2") as server,
        Load(server.url, (tensors, tensors, tensors, new_connections, library)) as load,
    ):
        findings.healthy(load)
        before = {each.pid for each in server.children()}
        victim = min(server.children(), key=lambda each: each.pid)
        fault_s = time.monotonic()
        victim.kill()
        findings.healthy(load)
        back = wait_for(lambda: len({each.pid for each in server.children()} - {victim.pid}) == len(before))
        findings.require(back, "the front was not replaced")
        findings.remarks.append(f"replaced after {time.monotonic() - fault_s:.1f} s")
    return findings.outcome(load, fault_s, may_fail=True)


def _exit_timeout(folder: Path) -> Outcome:
    """Something that never ends keeps nobody from stopping."""
    findings = Findings()
    given_up = threading.Event()
    with (
        Served(write_repository(folder / "models"), folder, "--exit-timeout-secs", "2") as server,
        grpc.insecure_channel(server.url) as channel,
        Load(server.url, MIXED) as load,
    ):
        findings.healthy(load)
        x = np.array([[0, 1e12]], np.float32)
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        endless = infer.future(tensor_request(MOODY, x))
        endless.add_done_callback(lambda _: given_up.set())
        time.sleep(0.3)
        fault_s = time.monotonic()
        code = server.stop()
        findings.require(code == 0, f"exit code {code}")
        took_s = time.monotonic() - fault_s
        findings.require(took_s < 15, f"it took {took_s:.1f} s to end")
        findings.require(given_up.wait(5), "who waited for the endless request was told nothing")
        findings.remarks.append(f"ended after {took_s:.1f} s; the endless request: {endless.code().name}")
        server.again()
        server.wait_ready()
        findings.healthy(load)
    # When the time is over, a call that has just come may be ended before it is refused.
    return findings.outcome(load, fault_s, may_fail=True)


FAULTS = (
    Fault(
        "sigterm",
        "SIGTERM under load, requests of a second under way; started again on the same port",
        "health is NOT_SERVING first; what was accepted is answered, what comes after is refused as UNAVAILABLE; a call that comes in the moment in which the port closes may end as CANCELLED",
        _sigterm,
        short=True,
    ),
    Fault(
        "exit-timeout",
        "SIGTERM while one request never ends (`--exit-timeout-secs 2`)",
        "the endless one is cancelled when the time is over; everything else as above",
        _exit_timeout,
        short=True,
    ),
    Fault(
        "sigkill",
        "SIGKILL, and a start on the same port; clients are the client library",
        "a pause; the library asks again (`Retry(retries=1000, budget=1000)`), its stream goes on where it was",
        _sigkill,
        short=True,
    ),
    Fault(
        "port",
        "a second server on a port that is in use",
        "nothing; the second one ends with code 1 and one line",
        _port,
    ),
    Fault(
        "front",
        "one of two fronts (`--frontends 2`) is killed",
        "the calls on its connections end as UNAVAILABLE; connecting again reaches the other one",
        _front,
        short=True,
    ),
)
