"""Real servers whose models kill, hang and lie: no request is lost, none but the guilty fail, nothing is left behind."""

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Self

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2, inference_pb2_grpc
from tests import hostile_backend
from tests.hostile_backend import write_hostile
from tests.hostile_server import HOSTILE

ISOLATED = ("--isolation", "process", "--inference-timeout-secs", "2")
PATIENCE_S = 90.0


class Client:
    """Asks a server; answers are rows, or gRPC's error."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.stub = inference_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def ask(self, what: float, model: str = "m") -> list[list[float]]:
        answer = self.stub.ModelInfer(request(what, model), timeout=PATIENCE_S)
        return np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(-1, 2).tolist()

    def refusal(self, what: float, model: str = "m") -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as error:
            self.ask(what, model)
        return error.value

    def ready(self, model: str = "m") -> bool:
        return self.stub.ModelReady(inference_pb2.ModelReadyRequest(name=model)).ready

    def server_ready(self) -> bool:
        return self.stub.ServerReady(inference_pb2.ServerReadyRequest()).ready

    def index(self) -> dict[str, tuple[str, str]]:
        found = self.stub.RepositoryIndex(inference_pb2.RepositoryIndexRequest()).models
        return {one.name: (one.state, one.reason) for one in found}

    def wait_ready(self, model: str = "m") -> float:
        """Seconds until the model answers again."""
        began_s = time.monotonic()
        while not (self.ready(model) and self.server_ready()):
            assert time.monotonic() - began_s < PATIENCE_S
            time.sleep(0.02)
        return time.monotonic() - began_s


def request(what: float, model: str = "m") -> inference_pb2.ModelInferRequest:
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 2])
    content = np.array([[what, 0]], np.float32).tobytes()
    return inference_pb2.ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[content])


def children(parent: int) -> list[int]:
    """Processes of a server, those of its processes not among them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def gone(processes: list[int]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{process}").exists() for process in processes):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def hostile_repository(tmp_path: Path) -> Path:
    for name in ("m", "other"):
        write_hostile(tmp_path / name)
    return tmp_path


def test_what_kills_its_process_costs_its_own_request_and_the_model_comes_back(hostile_repository, start_server):
    with start_server(hostile_repository, *ISOLATED, under=HOSTILE) as server, Client(server.address) as client:
        for what, says in (
            (hostile_backend.SIGFPE, "SIGFPE"),
            (hostile_backend.SIGSEGV, "SIGSEGV"),
            (hostile_backend.SLEEPS, "longer than 2 s"),
        ):
            assert client.ask(0) == [[1, 1]]
            error = client.refusal(what)
            assert error.code() is grpc.StatusCode.INTERNAL
            assert says in error.details()
            assert client.ask(0, "other") == [[1, 1]], "another model is not concerned"
            client.wait_ready()
            assert client.ask(0) == [[1, 1]]
        for what, status in (
            (hostile_backend.RAISES, grpc.StatusCode.INTERNAL),
            (hostile_backend.WRONG_ROWS, grpc.StatusCode.INTERNAL),
            (hostile_backend.WRONG_TYPE, grpc.StatusCode.INTERNAL),
            (hostile_backend.EXITS, grpc.StatusCode.INTERNAL),
            (hostile_backend.NO_MEMORY, grpc.StatusCode.RESOURCE_EXHAUSTED),
            (hostile_backend.BAD_ALLOC, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            error = client.refusal(what)
            assert (error.code(), "/srv" in error.details()) == (status, False)
            assert client.ask(0) == [[1, 1]]
        processes = children(server.process.pid)
        assert processes
        assert server.stop() == 0
        assert gone(processes)


def test_readiness_is_true_to_fact_while_a_model_cannot_come_back(hostile_repository, start_server):
    with start_server(hostile_repository, *ISOLATED, under=HOSTILE) as server, Client(server.address) as client:
        artefact = hostile_repository / "m" / "1" / "model.hostile"
        assert client.server_ready()
        artefact.write_text("sigfpe")
        assert client.refusal(hostile_backend.SIGFPE).code() is grpc.StatusCode.INTERNAL
        assert not client.ready()
        assert not client.server_ready()
        state, reason = client.index()["m"]
        assert state == "UNAVAILABLE"
        assert "SIGFPE" in reason
        assert client.refusal(0).code() is grpc.StatusCode.UNAVAILABLE
        assert client.ready("other")
        assert client.ask(0, "other") == [[1, 1]]
        artefact.write_text("anything")
        client.wait_ready()
        assert client.index()["m"][0] == "READY"
        assert client.ask(0) == [[1, 1]]


def test_nothing_is_lost_when_processes_are_killed_under_load(hostile_repository, start_server):
    with start_server(hostile_repository, *ISOLATED, under=HOSTILE) as server, Client(server.address) as client:
        outcomes = asyncio.run(_load_and_kill(server.address, server.process.pid))
        assert sum(outcomes.values()) == 400
        assert outcomes["OK"] > 100
        assert set(outcomes) <= {"OK", "INTERNAL", "UNAVAILABLE"}
        client.wait_ready("m")
        client.wait_ready("other")
        assert client.ask(0) == [[1, 1]]
        assert client.ask(0, "other") == [[1, 1]]


async def _load_and_kill(address: str, server: int) -> Counter[str]:
    """400 requests to two models, 8 at a time; three times all processes of the models are killed meanwhile."""
    outcomes: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)

        async def client(number: int) -> None:
            for _ in range(50):
                try:
                    await stub.ModelInfer(request(hostile_backend.WELL, ("m", "other")[number % 2]), timeout=PATIENCE_S)
                    outcomes["OK"] += 1
                except grpc.RpcError as error:
                    outcomes[error.code().name] += 1
                    await asyncio.sleep(0.2)

        async def kill() -> None:
            for least in (50, 150, 250):
                while sum(outcomes.values()) < least:  # noqa: ASYNC110 - a counter, which nobody announces
                    await asyncio.sleep(0.005)
                for process in children(server):
                    os.kill(process, signal.SIGKILL)

        await asyncio.gather(kill(), *(client(number) for number in range(8)))
    return outcomes


def test_processes_of_models_do_not_outlive_a_server_that_is_killed(hostile_repository, start_server):
    with start_server(hostile_repository, *ISOLATED, under=HOSTILE) as server:
        processes = children(server.process.pid)
        assert processes
        server.stop(signal.SIGKILL)
        assert gone(processes)


def test_without_isolation_what_hangs_is_given_up_and_replaced(hostile_repository, start_server):
    flags = ("--inference-timeout-secs", "1")
    with start_server(hostile_repository, *flags, under=HOSTILE) as server, Client(server.address) as client:
        for _ in range(3):
            error = client.refusal(hostile_backend.SLEEPS)
            assert error.code() is grpc.StatusCode.INTERNAL
            assert "longer than 1 s" in error.details()
            assert client.ask(0) == [[1, 1]]
        for what in (hostile_backend.WRONG_ROWS, hostile_backend.EXITS, hostile_backend.RAISES):
            assert client.refusal(what).code() is grpc.StatusCode.INTERNAL
        assert client.refusal(hostile_backend.NO_MEMORY).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert client.ask(0) == [[1, 1]]
        assert client.server_ready()
        assert server.stop() == 0


def test_config_pbtxt_wins_over_the_flag(hostile_repository, start_server):
    with (hostile_repository / "m" / "config.pbtxt").open("a") as config:
        config.write('parameters { key: "isolation" value { string_value: "process" } }\n')
    with start_server(hostile_repository, under=HOSTILE) as server, Client(server.address) as client:
        assert "in a process of its own" in server.report or children(server.process.pid)
        assert client.refusal(hostile_backend.SIGFPE).code() is grpc.StatusCode.INTERNAL
        client.wait_ready()
        assert client.ask(0) == [[1, 1]]
