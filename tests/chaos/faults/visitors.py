"""Clients that behave badly."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc

from pasarela_proto import detection_pb2, detection_pb2_grpc
from tests.certificates import Authority
from tests.chaos.clients import MIXED, Load, new_connections, secure
from tests.chaos.models import EYES, picture, write_repository
from tests.chaos.row import Fault, Findings, Outcome
from tests.chaos.served import Served, wait_for

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_CONNECTIONS = 3000
_MOST_GROWTH_MB = 32


def _storm(folder: Path) -> Outcome:
    findings = Findings()
    with (
        Served(write_repository(folder / "models"), folder) as server,
        Load(server.url, (*MIXED, new_connections)) as load,
    ):
        findings.healthy(load)
        _drop_connections(server.url, 300)
        before_mb, descriptors, threads = server.rss_mb(), server.descriptors(), server.threads()
        fault_s = time.monotonic()
        _drop_connections(server.url, _CONNECTIONS)
        _leave_calls(server.url, 300)
        findings.healthy(load)
        findings.require(
            wait_for(lambda: server.descriptors() <= descriptors + 8, 30),
            f"{server.descriptors() - descriptors} descriptors are left",
        )
        findings.require(server.threads() <= threads + 4, f"{server.threads() - threads} threads are left")
        grown_mb = server.rss_mb() - before_mb
        findings.require(grown_mb < _MOST_GROWTH_MB, f"memory grew by {grown_mb:.0f} MB")
        findings.remarks.append(
            f"{_CONNECTIONS} connections (silent, half a message, reset), 300 calls left in the middle; memory {grown_mb:+.1f} MB"
        )
    findings.require("Traceback" not in server.said(), "its log has a traceback")
    return findings.outcome(load, fault_s, may_refuse=False)


def _drop_connections(url: str, count: int) -> None:
    """Opens connections and drops them: with a word or without, in good order or by a reset."""
    chance = random.Random(count)
    host, _, port = url.rpartition(":")
    with contextlib.ExitStack() as half_open:
        for number in range(count):
            connection = socket.create_connection((host, int(port)), timeout=20)
            kind = number % 4
            if kind:
                connection.sendall(_PREFACE)
            if kind > 1:  # the head of a frame that announces more than comes
                connection.sendall(b"\x00\x40\x00\x00\x00\x00\x00\x00\x01" + os.urandom(chance.randint(0, 200)))
            if kind == 3:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number % 50 == 0:
                half_open.callback(connection.close)
            else:
                connection.close()


def _leave_calls(url: str, count: int) -> None:
    """Calls and streams that are cancelled while they are under way, a large upload among them."""
    request = detection_pb2.DetectRequest(model_name=EYES, image={"encoded": picture()})
    large = detection_pb2.DetectRequest(model_name=EYES, image={"encoded": bytes(20_000_000)})
    for number in range(count):
        with grpc.insecure_channel(url, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = detection_pb2_grpc.DetectionServiceStub(channel)
            call = stub.Detect.future(large if number % 30 == 0 else request, timeout=20)
            if number % 2:
                time.sleep(0.001)
            call.cancel()


def _slow_reader(folder: Path) -> Outcome:
    findings = Findings()
    request = detection_pb2.DetectRequest(model_name=EYES, image={"encoded": bytes(picture(480, 640))})
    over = threading.Event()

    def frames() -> Iterator[detection_pb2.StreamDetectRequest]:
        index = 0
        while not over.is_set():
            sent[0] = index
            yield detection_pb2.StreamDetectRequest(frame_index=index, request=request)
            index += 1

    sent = [0]
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
    with (
        Served(write_repository(folder / "models"), folder) as server,
        Load(server.url, MIXED) as load,
        grpc.insecure_channel(server.url, options=options) as channel,
    ):
        findings.healthy(load)
        fault_s = time.monotonic()
        call = detection_pb2_grpc.DetectionServiceStub(channel).StreamDetect(frames())
        next(call)
        time.sleep(3.0)
        before_mb, frames_before = server.rss_mb(), sent[0]
        time.sleep(5.0)
        grown_mb, more = server.rss_mb() - before_mb, sent[0] - frames_before
        findings.healthy(load)
        over.set()
        call.cancel()
        findings.require(grown_mb < 8, f"memory grew by {grown_mb:.1f} MB")
        findings.require(more < 200, f"it went on to take frames, {more}, that nobody reads the answers of")
        findings.remarks.append(f"{sent[0]} frames taken, then none; memory {grown_mb:+.1f} MB in 5 s")
    return findings.outcome(load, fault_s, may_refuse=False)


def _certificates(folder: Path) -> Outcome:
    findings = Findings()
    authority = Authority(folder / "tls")
    flags = authority.server_flags(authority.issue("server"))
    root = write_repository(folder / "models")
    with (
        Served(root, folder, *flags, secure=True) as server,
        secure(server.url, authority.certificate) as channel,
        Load(server.url, (*MIXED, new_connections), channel=channel) as load,
    ):
        findings.healthy(load)
        fault_s = time.monotonic()
        for _ in range(3):
            before = server.said().count("certificate")
            authority.issue("server")
            found = wait_for(lambda before=before: server.said().count("certificate") > before, 20)
            findings.require(found, "the new certificate was not taken")
            findings.healthy(load)
        findings.remarks.append("replaced three times")
    return findings.outcome(load, fault_s, may_refuse=False)


FAULTS = (
    Fault(
        "slow-reader",
        "a stream whose client sends and never reads",
        "its frames are not taken any more; no other notices, memory stays",
        _slow_reader,
    ),
    Fault("storm", "clients that connect and go, in their thousands, in the middle of uploads too", "nothing", _storm),
    Fault("certificates", "certificates are replaced under load", "nothing", _certificates),
)
