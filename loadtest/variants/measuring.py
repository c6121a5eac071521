"""One start of a server with one variant: how long it takes, what it holds, what it delivers, how well it detects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from loadtest.benchmark.child import Child, ChildFailed
from loadtest.report.sampling import Look
from loadtest.server_process import ServerDidNotStart, StartedServer, started_server
from loadtest.variants.results import Round, VariantResult
from loadtest.variants.test_set import TestSet
from pasarela_proto import inference_pb2, inference_pb2_grpc
from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.scores import Scores
from pasarela_training.evaluate.served import measure_served

Say = Callable[[str], None]

_WINDOW = 8


class CannotRun(Exception):
    """A variant does not run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How servers are started, and what asks them."""

    repository: Path
    folder: Path
    """For logs, and for what servers keep for their next start."""
    generator: Child
    clients: int
    seconds: float
    ready_s: float = 180.0


@contextmanager
def serving(variant: VariantResult, how: Serving, log: Path) -> Iterator[StartedServer]:
    """A server that holds this variant and nothing else.

    Raises:
        CannotRun: It does not start, or it could not load the variant.
    """
    cache = how.folder / "model-cache"
    flags = ["--model-control-mode", "explicit", "--load-model", variant.name, "--model-cache", str(cache)]
    # What cannot be loaded is to be told at once, not waited for.
    flags += ["--strict-readiness", "false"]
    try:
        with started_server(how.repository, log, flags, ready_s=how.ready_s) as server:
            reason = unavailable(server.url, variant.name)
            if reason is not None:
                raise CannotRun(reason)
            yield server
    except ServerDidNotStart as error:
        raise CannotRun(str(error)) from error


def take_round(variant: VariantResult, how: Serving, server: StartedServer) -> Round:
    """Loads a server that is ready: one client first, then many.

    Raises:
        CannotRun: The variant is no detector, or requests failed.
    """
    look = Look(server.pid, None)

    def memory_mb() -> float:
        process = look(0.0).process
        assert process is not None, "a server of our own is looked at"
        return process.resident_bytes / 1e6

    def load(clients: int, seconds: float) -> dict[str, float]:
        request = {"kind": "detect", "model": variant.name}
        answer: dict[str, float] = how.generator.ask(
            "closed", url=server.url, request=request, clients=clients, seconds=seconds
        )
        return answer

    ready_mb = memory_mb()
    try:
        alone, busy = load(1, how.seconds), load(how.clients, how.seconds)
    except ChildFailed as error:
        raise CannotRun(_in_short(str(error))) from error
    return Round(
        ready_s=server.ready_s,
        memory_ready_mb=ready_mb,
        memory_loaded_mb=memory_mb(),
        alone_p50_ms=alone["p50_ms"],
        alone_p99_ms=alone["p99_ms"],
        saturated_per_second=busy["per_second"],
        saturated_p50_ms=busy["p50_ms"],
        saturated_p99_ms=busy["p99_ms"],
        client_cores=busy["client_cores"],
    )


def judge(variant: VariantResult, server: StartedServer, test_set: TestSet) -> Scores:
    """The mAP of what the server answers to clients.

    Raises:
        CannotRun: It finds classes that the test set has not, or an image failed.
    """
    section = EvaluateSection(splits=("test",))
    try:
        run = measure_served(
            server.url, variant.name, test_set.images, test_set.document, section, window=_WINDOW, label=variant.name
        )
    except TrainingError as error:
        raise CannotRun(str(error)) from error
    return run.scores


def unavailable(url: str, model: str) -> str | None:
    """Why a server has not loaded a model; None if it has."""
    with grpc.insecure_channel(url) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        index = stub.RepositoryIndex(inference_pb2.RepositoryIndexRequest(), timeout=30)
    return state_of(model, index.models)


def state_of(model: str, index: Sequence[inference_pb2.RepositoryIndexResponse.ModelIndex]) -> str | None:
    """Why a model is not READY by a server's index; None if a version of it is."""
    own = [entry for entry in index if entry.name == model]
    if any(entry.state == "READY" for entry in own):
        return None
    reasons = [entry.reason for entry in own if entry.reason]
    return reasons[0] if reasons else "the server did not load it and does not say why"


def description_of(model: str, log: str) -> str:
    """What a server printed of the model's framework, precision and threads; empty if it printed nothing."""
    found = re.search(rf"^{re.escape(model)}\s+\S+\s+READY\s+(.+)$", log, re.MULTILINE)
    return found[1].strip() if found else ""


def _in_short(message: str) -> str:
    """The first line, with gRPC's own details cut out."""
    told = re.search(r'details = "(.+?)"', message)
    return told[1] if told else message.splitlines()[0]
