"""`make benchmark` as a person runs it, short, on a network that takes no time."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper

from loadtest.benchmark.page import BEGIN, END

ROOT = Path(__file__).parents[2]
METADATA = {"task": "detect", "names": {0: "skirt", 1: "vest"}, "stride": 32, "imgsz": [32, 32], "channels": 3}


@pytest.fixture(scope="module")
def tiny_detectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw detector for each of two frameworks: 21 anchors out of the mean colour of 32x32 pixels."""
    repository = tmp_path_factory.mktemp("repository")
    value = helper.make_tensor_value_info
    weights = np.random.default_rng(1).normal(0, 1, (3, 6 * 21)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["output0"]),
        ],
        "tiny",
        [value("images", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [value("output0", TensorProto.FLOAT, ["batch", 6, 21])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([-1, 6, 21]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key: str(told) for key, told in METADATA.items()})
    for name in ("tiny_onnx", "tiny_openvino"):
        (repository / name / "1").mkdir(parents=True)
    onnx.save(model, repository / "tiny_onnx/1/model.onnx")
    folder = repository / "tiny_openvino/1"
    openvino.save_model(openvino.convert_model(repository / "tiny_onnx/1/model.onnx"), folder / "model.xml")
    (folder / "metadata.yaml").write_text(json.dumps({**METADATA, "names": ["skirt", "vest"]}))
    return repository


def command(repository: Path, output: Path, *flags: object) -> list[str]:
    short = ["--rounds", "1", "--seconds", "0.1", "--clients", "1", "4", "16", "--requests", "40"]
    line = [sys.executable, "-m", "loadtest.benchmark", *short, "--model-repository", repository, "--output", output]
    return [*map(str, line), *map(str, flags)]


def run(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> "subprocess.CompletedProcess[str]":
    monkeypatch.setenv("PASARELA_PERF_ANALYZER", "none")  # the same everywhere: the project's own client
    return subprocess.run(
        command(*arguments),  # type: ignore[arg-type]
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("only", "sections", "quantities"),
    [
        pytest.param(
            ["jpeg", "raw", "tiny", "--variants", "onnx"],
            ["## Images in, detections out", "## Float tensors in and out", "## A model that does nothing"],
            {
                "jpeg": ("tiny_onnx", {"network", "pipeline", "alone_p50_ms", "server_1", "server_16"}),
                "raw": ("tiny_onnx", {"bare", "plain_4", "shared_4", "shared_4_client_cores"}),
                "tiny": ("echo_asyncio", {"requests_16"}),
            },
            id="closed loops against what they are divided by",
        ),
        pytest.param(
            ["start", "tail", "overload", "memory", "--variants", "openvino"],
            ["## Starting", "## At 80 % of the saturated load", "## At twice the saturated load", "## Memory"],
            {
                "start": ("tiny_openvino", {"ready_s"}),
                "tail": ("tiny_openvino", {"even_p99_ms", "poisson_p99_ms"}),
                "overload": ("tiny_openvino", {"goodput", "saturated", "longest_refusal_ms"}),
                "memory": ("tiny_openvino", {"resident_mb"}),
            },
            id="open arrivals, and what is measured of the process",
        ),
    ],
)
def test_a_short_run_leaves_figures_and_a_page(
    tiny_detectors: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    only: list[str],
    sections: list[str],
    quantities: dict[str, tuple[str, set[str]]],
) -> None:
    (tmp_path / "performance.md").write_text("# Performance\n\nWritten by hand.\n")
    done = run(tiny_detectors, tmp_path, "--only", *only, monkeypatch=monkeypatch)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "performance.md").read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    assert page.rstrip().endswith("Written by hand.")
    assert [section for section in sections if section not in page] == []
    results = json.loads((tmp_path / "performance.json").read_text())
    assert all(entry["complete"] for entry in results.values())
    for measurement, (subject, wanted) in quantities.items():
        taken = results[measurement]["taken"][subject]
        assert wanted <= set(taken), measurement
        assert all(values[0] > 0 for quantity, values in taken.items() if quantity in wanted - {"longest_refusal_ms"})
    assert not (tmp_path / "unfinished.json").exists()
    assert str(Path.home()) not in (tmp_path / "performance.json").read_text(), "no paths of the machine"


def test_ctrl_c_keeps_what_was_taken_and_leaves_the_page(tiny_detectors: Path, tmp_path: Path) -> None:
    (tmp_path / "performance.md").write_text("# Performance\n")
    flags = ["--only", "jpeg", "--variants", "onnx", "--rounds", "100000", "--clients", "1"]
    with subprocess.Popen(
        command(tiny_detectors, tmp_path, *flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        seen = ""
        while " 2/" not in seen:
            seen += process.stderr.read(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    entry = json.loads((tmp_path / "unfinished.json").read_text())["jpeg"]
    assert entry["complete"] is False
    assert entry["taken"]["tiny_onnx"]["network"]
    assert (tmp_path / "performance.md").read_text() == "# Performance\n"
    assert not (tmp_path / "performance.json").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        pytest.param(["--images", "{tmp}"], 2, "no JPEG images in {tmp}", id="a folder without images"),
        pytest.param(["--only", "speed"], 2, "speed", id="a measurement that there is none of"),
        pytest.param(["--seconds", "0"], 2, "more than 0", id="no time"),
        pytest.param(
            ["--variants", "tensorrt", "--only", "jpeg"], 1, "no raw detector", id="a variant that is not there"
        ),
        pytest.param(["--from", "{tmp}/none.json"], 2, "none.json", id="results that are not there"),
        pytest.param(["--from", "README.md"], 1, "README.md holds no results", id="results that are none"),
    ],
)
def test_wrong_usage_is_told(
    tiny_detectors: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    code: int,
    message: str,
) -> None:
    done = run(
        tiny_detectors, tmp_path, *(flag.replace("{tmp}", str(tmp_path)) for flag in flags), monkeypatch=monkeypatch
    )
    assert done.returncode == code, done.stderr
    assert message.replace("{tmp}", str(tmp_path)) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "performance.md").exists()
