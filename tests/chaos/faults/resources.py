"""Memory, disk, descriptors and the clock of the machine."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import grpc
import numpy as np
import psutil

from pasarela_proto import detection_pb2, detection_pb2_grpc
from tests.chaos.clients import MIXED, Load, new_connections, tensors
from tests.chaos.models import ADD, EYES, write_repository
from tests.chaos.row import Fault, Findings, NotHere, Outcome
from tests.chaos.served import Served, wait_for
from tests.tiny_models import write_onnx, write_openvino

POLL = ("--model-control-mode", "poll", "--repository-poll-secs", "1", "--repository-settle-secs", "1")
_FAKETIME = "faketime/libfaketimeMT.so.1"
_OUT_OF_MEMORY_MB = 96
_LARGE = (7000, 8000)


def _memory(folder: Path) -> Outcome:
    """Pictures that would take more memory than there is left, from another client."""
    findings = Findings()
    large = bytes(cv2.imencode(".png", np.zeros((*_LARGE, 3), np.uint8))[1].tobytes())
    request = detection_pb2.DetectRequest(model_name=EYES, image={"encoded": large})
    with (
        Served(write_repository(folder / "models"), folder) as server,
        grpc.insecure_channel(server.url) as channel,
        Load(server.url, MIXED) as load,
    ):
        detect = detection_pb2_grpc.DetectionServiceStub(channel).Detect
        findings.healthy(load)
        held = psutil.Process(server.process.pid).memory_info().vms
        fault_s = time.monotonic()
        server.limit(resource.RLIMIT_AS, held + _OUT_OF_MEMORY_MB * 2**20)
        codes = []
        for _ in range(5):
            try:
                detect(request, timeout=20)
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
        server.limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        findings.require(server.alive, "the server ended")
        findings.require(
            set(codes) == {"RESOURCE_EXHAUSTED"}, f"pictures without memory for them end with {set(codes)}"
        )
        findings.remarks.append(
            f"5 pictures of 168 MB with {_OUT_OF_MEMORY_MB} MB left: {', '.join(sorted(set(codes)))}"
        )
        if server.alive:
            findings.healthy(load)
            detect(request, timeout=60)
    return findings.outcome(load, fault_s, may_refuse=False)


def _disk_full_publishing(folder: Path) -> Outcome:
    findings = Findings()
    root = write_repository(folder / "models")
    write_onnx(folder / "new" / "2", 2, note="x" * 200_000)
    with Served(root, folder, *POLL) as server, Load(server.url, MIXED) as load:
        findings.healthy(load)
        fault_s = time.monotonic()
        copied = subprocess.run(
            ["prlimit", "--fsize=100000", sys.executable, "-c", "import shutil, sys; shutil.copytree(*sys.argv[1:])",
             str(folder / "new" / "2"), str(root / ADD / "2")], check=False, capture_output=True,
        )  # fmt: skip
        findings.require(copied.returncode != 0, "the disk was not full")
        half = (root / ADD / "2" / "model.onnx").stat().st_size
        server.wait_said("version 2: UNAVAILABLE")
        findings.healthy(load)
        findings.remarks.append(f"{half:,} bytes of 200,000 arrived; version 1 went on")
        shutil.copytree(folder / "new" / "2", root / ADD / "2", dirs_exist_ok=True)
        server.wait_said(f"{ADD} version 2: READY")
        findings.healthy(load)
    return findings.outcome(load, fault_s, may_refuse=False)


def _disk_full_cache(folder: Path) -> Outcome:
    findings = Findings()
    root = write_repository(folder / "models")
    write_openvino(root / "compiled" / "1", 1)
    cache = folder / "cache"
    flags = ("--model-cache", str(cache))
    fault_s = time.monotonic()
    # The log is a file, too: what is written of the cache has to be larger than what the server says.
    full = ("prlimit", "--fsize=4096")
    with Served(root, folder, *flags, under=full) as server, Load(server.url, MIXED) as load:
        findings.healthy(load)
        files = [file for file in cache.rglob("*") if file.is_file()]
        findings.require(all(file.stat().st_size <= 4096 for file in files), "the limit did not hold")
    with Served(root, folder, *flags) as server, Load(server.url, MIXED) as after:
        findings.require(after.tally.wait_answers(60), "with what was left of the cache it does not serve")
    findings.require("Traceback" not in server.said(), "its log has a traceback")
    findings.remarks.append("starts with and after a full disk serve all models")
    return findings.outcome(load, fault_s, may_refuse=False)


def _descriptors(folder: Path) -> Outcome:
    import socket

    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder) as server,
        Load(server.url, (*MIXED, tensors)) as load,
    ):
        findings.healthy(load)
        before = server.descriptors()
        fault_s = time.monotonic()
        soft, _ = server.limit(resource.RLIMIT_NOFILE, before + 20)
        host, _, port = server.url.rpartition(":")
        with contextlib.ExitStack() as held:
            for _ in range(200):
                held.enter_context(socket.create_connection((host, int(port)), timeout=10))
            exhausted = wait_for(lambda: server.descriptors() >= before + 18, 20)
            findings.require(exhausted, f"it took {server.descriptors() - before} descriptors only")
            findings.healthy(load)
        released_s = time.monotonic()
        with Load(server.url, (new_connections,)) as fresh:
            findings.require(fresh.tally.wait_answers(20, 60), "new connections are not taken afterwards")
        findings.remarks.append(
            f"200 connections with 20 descriptors left; new ones are taken "
            f"{max(0.0, fresh.tally.recovery_s(released_s)):.1f} s after they went"
        )
        server.limit(resource.RLIMIT_NOFILE, soft)
        findings.require(wait_for(lambda: server.descriptors() <= before + 4, 30), "descriptors are left open")
    return findings.outcome(load, fault_s, may_refuse=False)


def _clock(folder: Path) -> Outcome:
    library = next((path for path in Path("/usr/lib").glob(f"*/{_FAKETIME}")), None)
    if library is None:
        raise NotHere("it takes libfaketime (apt-get install faketime)")
    findings = Findings()
    root = write_repository(folder / "models")
    offset = folder / "offset"
    _replace(offset, "+0")
    with (
        Served(root, folder, *POLL, environment={**os.environ, **_faked(library, offset)}) as server,
        Load(server.url, MIXED) as load,
    ):
        findings.healthy(load)
        fault_s = time.monotonic()
        for number, seconds in enumerate((86_400, -86_400, 31_536_000, 0), 2):
            _replace(offset, f"{seconds:+d}")
            findings.healthy(load)
            write_onnx(root / ADD / str(number), number)
            taken = server.wait_said(f"{ADD} version {number}: READY", patience_s=20)
            away = abs(_said_at(taken) - (datetime.now(UTC) + timedelta(seconds=seconds)))
            findings.require(away < timedelta(hours=2), f"the server's clock did not jump to {seconds:+d} s: {taken}")
        findings.remarks.append(
            "a day on, two back, a year on, back; a version published after each is taken within 20 s"
        )
    return findings.outcome(load, fault_s, may_refuse=False)


def _faked(library: Path, offset: Path) -> dict[str, str]:
    """The environment in which libfaketime moves the wall clock by what a file says, and leaves waiting alone.

    Without the last one, libfaketime 0.9.10 measures waits for conditions, Python's for its interpreter lock among them, by the clock that it moved,
    whatever was said of the monotonic one: each ends at once, threads that wait for the lock spin, and `pthread_cond_init` may wait for ever.
    """
    return {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }  # fmt: skip


def _replace(offset: Path, text: str) -> None:
    """Whole or not at all: the server reads it all the time."""
    beside = offset.with_suffix(".new")
    beside.write_text(text)
    beside.replace(offset)


def _said_at(line: str) -> datetime:
    """When the server says that it wrote a line of its log."""
    return datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S").astimezone(UTC)


FAULTS = (
    Fault(
        "memory",
        "memory runs out (RLIMIT_AS) while large pictures come",
        "RESOURCE_EXHAUSTED for those pictures",
        _memory,
        short=True,
    ),
    Fault(
        "disk-publishing",
        "the disk is full while a version is published (poll)",
        "nothing: the version before goes on",
        _disk_full_publishing,
        short=True,
    ),
    Fault(
        "disk-cache",
        "the disk is full while compiled models are kept",
        "nothing; the next start compiles again",
        _disk_full_cache,
    ),
    Fault(
        "descriptors",
        "all descriptors are taken by idle connections",
        "open connections go on; new ones wait until there are descriptors",
        _descriptors,
    ),
    Fault("clock", "the clock jumps by a day and a year, both ways (libfaketime)", "nothing", _clock),
)
