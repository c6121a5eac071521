"""The page on what the server tells: no metric, alert or setting is missing on it, and none that it names is not there."""

import re
import urllib.request
from pathlib import Path

import pytest
import yaml

from pasarela_server.config.tracing import _SETTINGS
from pasarela_server.observability.gpus import GPU_METRICS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observing.md").read_text()
ONLY_ELSEWHERE = {*GPU_METRICS, "pasarela_certificate_expires_timestamp_seconds"}
"""They take a GPU, or TLS."""


@pytest.fixture
def served(server, sample_image):
    """Every metric that a server has after a request that was answered and one that failed."""
    from pasarela_client import Detector, PasarelaError

    with Detector(server.address, "garments") as detector:
        detector.detect(sample_image)
        with pytest.raises(PasarelaError):
            detector.detect(b"no picture")
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {line.split()[2] for line in lines if line.startswith("# TYPE")}


def test_every_metric_is_on_the_page_and_every_one_on_the_page_is_there(served):
    tables = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`((?:nv|pasarela|process)_\w+)`", " ".join(tables)))
    assert served - named == set(), "metrics that the page does not explain"
    assert named - served - ONLY_ELSEWHERE == set(), "metrics that there are not"


def test_every_alert_is_on_the_page():
    rules = yaml.safe_load((ROOT / "server" / "monitoring" / "alerts.yml").read_text())["groups"][0]["rules"]
    told = dict(re.findall(r"^\| `(Pasarela\w+)` \| (\w+) \|", PAGE, re.MULTILINE))
    assert told == {rule["alert"]: rule["labels"]["severity"] for rule in rules}


def test_every_setting_of_traces_is_on_the_page():
    section = PAGE[PAGE.index("| `--trace-config` |") : PAGE.index("A caller that traces decides")]
    told = set(
        re.findall(
            r"`([a-z,-]+)`", "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
        )
    )
    assert told - {"--trace-config"} == {",".join(filter(None, key)) for key in _SETTINGS}
