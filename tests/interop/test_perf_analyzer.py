"""NVIDIA's load generator measures this server as it measures Triton. `make peers` brings the binary."""

import base64
import csv
import json
import struct
import subprocess

import pytest

from tests.interop import peers

CLIENT = "perf_analyzer"
REQUESTS = 40
SHARED = "--shared-memory system --output-shared-memory-size 200000"


@pytest.fixture(scope="module")
def jpeg(image, tmp_path_factory):
    """A file of input data: an image as BYTES, which is its length and itself."""
    encoded = image.read_bytes()
    element = base64.b64encode(struct.pack("<I", len(encoded)) + encoded).decode()
    path = tmp_path_factory.mktemp("data") / "jpeg.json"
    path.write_text(json.dumps({"data": [{"image": {"b64": element}}]}))
    return path


@pytest.fixture
def measure(server, tmp_path):
    """`measure(model, *flags)` sends 40 requests, two at a time, and returns what was printed and the report's only row."""

    def run(model, *flags):
        report = tmp_path / "report.csv"
        command = [
            peers.perf_analyzer(), "-m", model, "-i", "grpc", "-u", server.address,
            "--request-count", str(REQUESTS), "--concurrency-range", "2", "-f", str(report), *flags,
        ]  # fmt: skip
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (row,) = csv.DictReader(report.read_text().splitlines())
        return ended.stdout, row

    return run


def cell(feature, model, flags, reason):
    """One run of the tool, which shows one feature."""
    return pytest.param(model, flags, marks=pytest.mark.compatible(CLIENT, feature), id=reason)


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        cell("inference on raw tensors", "garments_onnx", "", "unary calls"),
        cell(
            "inference on raw tensors", "garments_onnx", "--input-data random", "random bits, not all of them numbers"
        ),
        cell("messages above 4 MiB", "garments_onnx", "-b 4", "four rows in a request"),
        cell("many requests at once", "garments_onnx", "--async", "asynchronous calls"),
        cell("compression", "garments_onnx", "--grpc-compression-algorithm gzip", "compressed requests"),
        cell("request parameters", "garments_onnx", "--request-parameter shade:3:int", "one that means nothing here"),
        cell("streaming", "garments_onnx", "--streaming --async", "a stream"),
        cell("system shared memory", "garments_onnx", SHARED, "input and output"),
        cell("system shared memory", "garments_onnx", f"{SHARED} --streaming --async", "those of a stream"),
        cell("system shared memory", "garments", SHARED, "an image; boxes and names"),
        cell("inference on an encoded image", "garments", "", "an image as BYTES"),
        cell("inference on an encoded image", "garments", "--streaming --async", "images on a stream"),
    ],
)
def test_it_measures(measure, jpeg, model, flags):
    data = jpeg if model == "garments" else "zero"
    _, row = measure(model, "--input-data", str(data), *flags.split())
    assert float(row["Inferences/Second"]) > 0


@pytest.mark.compatible(CLIENT, "statistics")
def test_its_report_has_what_the_server_counted(measure):
    said, row = measure("garments_onnx", "--input-data", "zero")
    assert f"Inference count: {REQUESTS}" in said
    assert f"Successful request count: {REQUESTS}" in said
    assert float(row["Server Compute Infer"]) > 0
