"""The block of lines at the end of the start."""

import pytest

from pasarela_server.observability.startup import ModelLine, StartupReport, next_command


def test_report():
    models = [
        ModelLine("garments", "1", "READY", "detection over garments_onnx"),
        ModelLine("broken", "-", "UNAVAILABLE", "line 3:\n  a typo"),
    ]
    report = StartupReport(models, "127.0.0.1:8001", "127.0.0.1:8002", "pasarela detect <image>")
    assert report.text() == (
        "model     version  state        backend\n"
        "garments  1        READY        detection over garments_onnx\n"
        "broken    -        UNAVAILABLE  line 3: a typo\n"
        "\n"
        "gRPC on 127.0.0.1:8001, metrics on http://127.0.0.1:8002/metrics\n"
        "Try: pasarela detect <image>\n"
    )


def test_report_without_models_and_metrics():
    assert (
        StartupReport([], "h:1", None, "pasarela models").text() == "no models\n\ngRPC on h:1\nTry: pasarela models\n"
    )


@pytest.mark.parametrize(
    ("detectors", "address", "port", "expected"),
    [
        pytest.param(["garments"], "127.0.0.1", 8001, "pasarela detect <image>", id="all as the client assumes"),
        pytest.param(["a", "garments"], "0.0.0.0", 8001, "pasarela detect <image>", id="all interfaces"),
        pytest.param(["a"], "::", 9, "pasarela detect <image> --model a --url [::1]:9", id="another model, IPv6"),
        pytest.param([], "h", 8001, "pasarela models --url h:8001", id="nothing that detects"),
    ],
)
def test_next_command(detectors, address, port, expected):
    assert next_command("pasarela", "<image>", detectors, address, port) == expected
