"""What is sent to learn the generator's limit, and when an earlier limit still holds."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from loadtest import generator_limit
from loadtest.generator_limit import describe, relentless
from loadtest.report.generator import LIMIT_FILE, GeneratorLimit
from loadtest.scenario import load_scenario
from loadtest.scenario.read import parse_scenario, scenario_names
from pasarela_proto import inference_pb2 as pb


@pytest.mark.parametrize(
    ("entry", "sent"),
    [
        pytest.param(
            {"user": "detect", "model": "m", "pause": "1s", "timeout": "2s"}, {"user": "detect", "model": "m"}, id="no pauses"
        ),
        pytest.param(
            {"user": "stream", "fps": 5, "deadline": 0.1, "window": 8, "images": "x"},
            {"user": "stream", "window": 8, "images": "x"},
            id="frames as fast as they are answered",
        ),
        pytest.param({"user": "slow", "read_pause": 1, "window": 32}, {"user": "stream", "window": 32}, id="not slowly"),
        pytest.param({"user": "leaver", "leaves": "disconnect", "weight": 2}, {"user": "detect", "weight": 2}, id="nobody leaves"),
        pytest.param({"user": "raw", "rows": 4, "sizes": {"x": [3]}}, {"user": "raw", "rows": 4, "sizes": {"x": [3]}}, id="tensors"),
    ],
)  # fmt: skip
def test_the_same_requests_without_anything_that_waits(entry: dict[str, Any], sent: dict[str, Any]) -> None:
    assert relentless({"requests": [entry]})["requests"] == [sent]


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_has_a_limit_that_can_be_asked_for(name: str) -> None:
    _, document = load_scenario(name)
    scenario = parse_scenario(relentless(document), "limit")
    assert scenario.closed
    assert {entry.user for entry in scenario.requests} <= {"detect", "stream", "raw"}
    assert scenario.models == load_scenario(name)[0].models


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each entry is a measurement that was made."""
    made: list[int] = []

    def measure(*_: object) -> GeneratorLimit:
        made.append(len(made))
        return GeneratorLimit(100.0 + len(made), 16, 1, 3.0, ("detect",), "2026-11-26")

    monkeypatch.setattr(generator_limit, "_measure", measure)
    return made


DETECT = {"requests": [{"user": "detect", "model": "garments"}]}


def test_a_limit_of_this_machine_is_measured_once(measured: list[int], tmp_path: Path) -> None:
    first = generator_limit.generator_limit(DETECT, kept=tmp_path)
    assert generator_limit.generator_limit(DETECT, kept=tmp_path) == first
    assert len(measured) == 1


@pytest.mark.parametrize(
    ("document", "workers"),
    [
        pytest.param({"requests": [{"user": "raw", "model": "garments_onnx"}]}, 0, id="other requests"),
        pytest.param({"requests": [{"user": "detect", "model": "other"}]}, 0, id="another model"),
        pytest.param(DETECT, 2, id="more processes"),
    ],
)
def test_what_may_have_another_limit_is_measured(
    document: dict[str, Any], workers: int, measured: list[int], tmp_path: Path
) -> None:
    generator_limit.generator_limit(DETECT, kept=tmp_path)
    generator_limit.generator_limit(document, workers=workers, kept=tmp_path)
    assert len(measured) == 2


@pytest.mark.parametrize("again", [False, True], ids=["as it was", "served anew with another input"])
def test_a_model_of_the_same_name_may_be_another_one(
    again: bool, measured: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 320

    async def describe(model: str, like: str | None) -> pb.ModelMetadataResponse:
        assert (model, like) == ("m", "127.0.0.1:8001")
        tensor = pb.ModelMetadataResponse.TensorMetadata(name="images", datatype="FP32", shape=[-1, 3, size, size])
        return pb.ModelMetadataResponse(name=model, inputs=[tensor])

    monkeypatch.setattr(generator_limit, "describe_model", describe)
    document = {"requests": [{"user": "raw", "model": "m"}, {"user": "detect", "model": "n"}]}
    generator_limit.generator_limit(document, like="127.0.0.1:8001", kept=tmp_path)
    size = 640 if again else 320
    generator_limit.generator_limit(document, like="127.0.0.1:8001", kept=tmp_path)
    assert len(measured) == (2 if again else 1)


def test_how_long_and_how_much_is_asked_of_the_server_makes_no_difference(measured: list[int], tmp_path: Path) -> None:
    for load in ({"kind": "open", "rate": 5}, {"kind": "closed", "users": 100}):
        generator_limit.generator_limit({**DETECT, "load": load}, kept=tmp_path)
    assert len(measured) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: os.utime(path, (time.time() - 8 * 86400,) * 2), id="it is more than a week old"),
        pytest.param(lambda path: path.write_text("{"), id="it cannot be read"),
    ],
)
def test_a_limit_that_holds_no_more_is_measured_again(spoil: Any, measured: list[int], tmp_path: Path) -> None:
    generator_limit.generator_limit(DETECT, kept=tmp_path)
    (path,) = tmp_path.glob(f"*/{LIMIT_FILE}")
    spoil(path)
    assert generator_limit.generator_limit(DETECT, kept=tmp_path).per_second == 102.0
    assert len(measured) == 2


def test_the_limit_is_told_in_one_line() -> None:
    told = describe(GeneratorLimit(412.0, 16, 2, 3.0, ("detect", "stream"), "2026-11-26"))
    assert "at most 412 requests a second" in told
    assert "16 users in 2 processes" in told
    assert "\n" not in told
