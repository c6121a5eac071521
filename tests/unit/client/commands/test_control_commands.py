# ruff: noqa: N802 - methods are called as the protocol calls them
"""What the commands of model control print, and how they end."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from pasarela_client.commands.describe import format_description
from pasarela_client.commands.models import format_models
from pasarela_client.commands.patience import Patience
from pasarela_client.commands.permission import explained
from pasarela_client.commands.stats import format_counts
from pasarela_client.errors import AccessDenied, ModelUnavailable, PasarelaError, ServerFailure
from pasarela_client.models import Batching, InstanceGroup, ModelDescription, ModelState, TensorSpec
from pasarela_client.statistics import BatchTimes, Duration, ModelStatistics
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc

PROGRAM = [sys.executable, "-m", "pasarela_client"]


def described(**changes: Any) -> ModelDescription:
    return ModelDescription(
        **{
            "name": "m",
            "versions": ("2",),
            "platform": "onnxruntime",
            "inputs": (TensorSpec("images", "FP32", (-1, 3, 320, 320)), TensorSpec("scale", "FP32", (-1, 1))),
            "outputs": (),
            "class_names": {},
            **changes,
        }
    )


def test_a_description_is_aligned() -> None:
    model = described(
        labels={"stable": 1, "canary": 2},
        max_batch_size=8,
        instances=(InstanceGroup(4, "GPU", (0, 1)), InstanceGroup(2, "CPU"), InstanceGroup(1)),
        parameters={"precision": "f16", "compile": "true"},
        class_names={1: "shoe", 0: "hat"},
    )
    states = [ModelState("m", "1", "READY", ""), ModelState("m", "2", "UNAVAILABLE", "no such file")]
    assert format_description(model, states).splitlines() == [
        "m",
        "  platform    onnxruntime",
        "  versions    1 READY",
        "              2 UNAVAILABLE: no such file",
        "  labels      canary: version 2",
        "              stable: version 1",
        "  inputs      images  FP32  [-1, 3, 320, 320]",
        "              scale   FP32  [-1, 1]",
        "  batching    up to 8 rows a request; requests are not merged",
        "  instances   4 on GPU 0, 1, 2 on CPU, 1",
        "  parameters  compile: true",
        "              precision: f16",
        "  classes     2: 0 hat, 1 shoe",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_batch_size": 0}, "requests are computed one by one"),
        ({"max_batch_size": 4}, "up to 4 rows a request; requests are not merged"),
        (
            {"max_batch_size": 4, "batching": Batching()},
            "requests are merged, up to 4 rows; the oldest waits 0 ms for others",
        ),
        (
            {"max_batch_size": 8, "batching": Batching(1500, (2, 4))},
            "requests are merged, up to 8 rows, preferably 2 or 4; the oldest waits 1.5 ms for others",
        ),
        ({"runs": "raw"}, "as raw"),
    ],
)
def test_how_requests_are_batched(changes: dict[str, Any], words: str) -> None:
    text = format_description(described(**changes), [])
    assert f"  batching  {words}" in text.splitlines()
    assert "  versions  2 READY" in text.splitlines(), "a server without a list still tells its versions"


def test_a_model_over_another_says_so() -> None:
    model = described(platform="detection", runs="raw", runs_version="stable")
    assert "  platform  detection over raw version stable" in format_description(model, []).splitlines()


def test_columns_that_would_be_empty_are_left_out() -> None:
    states = [ModelState("a", "1", "READY", ""), ModelState("b", "", "UNKNOWN", "")]
    assert format_models(states, [None, None]).splitlines() == [
        "NAME  VERSION  STATE",
        "a     1        READY",
        "b     -        UNKNOWN",
    ]
    labelled = format_models(states, [described(labels={"stable": 1, "canary": 2, "main": 1}), None])
    assert labelled.splitlines()[1].split() == ["a", "1", "main,stable", "READY", "onnxruntime"]


def test_counts_and_their_batches() -> None:
    spent = Duration(6, 60_000_000)
    counts = ModelStatistics(
        name="m", version="1", answered=spent, failed=Duration(2, 5), infer=spent, rows=12, executions=4,
        batches=(
            BatchTimes(2, Duration(), Duration(3, 30_000_000), Duration()),
            BatchTimes(6, Duration(), Duration(1, 30_000_000), Duration()),
        ),
    )  # fmt: skip
    idle = ModelStatistics(name="idle", version="3")
    table, batches = format_counts([counts, idle], batches=True).split("\n\n")
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["m", "1", "6", "2", "12", "4", "3.0", "10.00", "0.00", "0.00", "10.00", "0.00"],
        ["idle", "3", "0", "0", "0", "0", *["-"] * 6],
    ]
    assert [line.split() for line in batches.splitlines()[2:]] == [
        ["2", "3", "75%", "10.00", "5.00"],
        ["6", "1", "25%", "30.00", "5.00"],
    ]
    traffic = counts.since(None, 3.0)
    assert format_counts([traffic]).splitlines()[1].split()[:4] == ["m", "1", "2.0", "6"]


EXAMPLE = "(here: make serve ARGS=\"--model-control-mode explicit --load-model '*'\")"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(
            ModelUnavailable(
                "not while the control mode is 'none'; start the server with --model-control-mode explicit"
            ),
            "not while the control mode is 'none'; start the server with --model-control-mode explicit " + EXAMPLE,
            id="Pasarela, which names the flag itself",
        ),
        pytest.param(
            ModelUnavailable("explicit model load / unload is not allowed if polling is enabled"),
            "explicit model load / unload is not allowed if polling is enabled; start the server with "
            "--model-control-mode explicit " + EXAMPLE,
            id="Triton, which does not",
        ),
        pytest.param(
            AccessDenied("it takes a token for control"),
            "this server does not let you load or unload models: it takes a token for control",
            id="a token for something else",
        ),
        pytest.param(ServerFailure("version 1 is broken"), "version 1 is broken", id="another failure"),
        pytest.param(ModelUnavailable("the server is stopping"), "the server is stopping", id="another reason"),
    ],
)
def test_what_to_do_where_loading_is_left_to_nobody(error: PasarelaError, words: str) -> None:
    assert explained(error) == words


class TtyText(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_waiting_is_shown_on_a_terminal_and_gone_afterwards() -> None:
    shown = threading.Event()

    class Watched(TtyText):
        def write(self, text: str) -> int:
            shown.set()
            return super().write(text)

    terminal, pipe = Watched(), io.StringIO()
    with Patience("loading m", terminal), Patience("loading m", pipe):
        assert shown.wait(30)
    assert terminal.getvalue().startswith("\r\x1b[Kloading m … 0 s")
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert pipe.getvalue() == ""


class Slow(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Loads for ever, and counts."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()

    def RepositoryModelLoad(self, request: Any, context: Any) -> pb.RepositoryModelLoadResponse:
        context.add_callback(self.over.set)
        self.asked.set()
        self.over.wait(60)
        return pb.RepositoryModelLoadResponse()

    def ModelStatistics(self, request: Any, context: Any) -> pb.ModelStatisticsResponse:
        self.asked.set()
        return pb.ModelStatisticsResponse(model_stats=[pb.ModelStatistics(name="m", version="1")])


@pytest.fixture
def slow() -> Iterator[tuple[Slow, str]]:
    service, server = Slow(), grpc.server(ThreadPoolExecutor(4))
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)  # type: ignore[abstract]
    url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service, url
    server.stop(0).wait()


@pytest.mark.parametrize("words", [["load", "m"], ["stats", "--watch", "0.2"]], ids=["load", "stats"])
def test_ctrl_c_ends_at_once(slow: tuple[Slow, str], words: list[str]) -> None:
    service, url = slow
    command = [*PROGRAM, *words, "--url", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert service.asked.wait(60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (130, b"")
    assert words[0] == "stats" or service.over.wait(30), "the call is cancelled"


def test_a_load_that_takes_too_long_says_that_it_goes_on(slow: tuple[Slow, str]) -> None:
    _, url = slow
    command = [*PROGRAM, "load", "m", "--url", url, "--timeout", "0.3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pasarela: 'm' was not READY within 0.3 s; the server goes on loading it\n"
