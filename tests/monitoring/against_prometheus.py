"""Panels and alerts in a real Prometheus that scrapes a real server under load: `make monitoring-check`.

No part of `make test`: Prometheus is no Python package, and comes from the operating system.
"""

import itertools
import json
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import grpc
import pytest
import yaml

from pasarela_client import Detector, PasarelaError
from pasarela_proto import detection_pb2, detection_pb2_grpc

MONITORING = Path(__file__).parents[2] / "server" / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/pasarela.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(panel, target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
GPU_ONLY = "Only with a GPU"
PATIENCE_S = 90


class Prometheus:
    """A process that answers queries."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, **parameters):
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def numbers(self, query):
        """The values that a query has now; numbers that are none left out."""
        found = self.ask("/api/v1/query", query=query)["result"]
        return [float(each["value"][1]) for each in found if each["value"][1] != "NaN"]

    def wait(self, what):
        """The first true answer of a call; fails after a while."""
        for _ in range(2 * PATIENCE_S):
            try:
                found = what()
            except urllib.error.URLError:
                found = None
            if found:
                return found
            threading.Event().wait(0.5)
        raise AssertionError("Prometheus has no such answer")


@pytest.fixture(scope="module")
def metrics(server):
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def load(server, sample_image):
    """Requests that are answered, refused and streamed, as long as tests run."""
    over, image = threading.Event(), sample_image.read_bytes()

    def detect():
        with Detector(server.address, "garments") as detector:
            while not over.is_set():
                detector.detect(image)
                with pytest.raises(PasarelaError):
                    detector.detect(b"no picture")

    def stream():
        def frames():
            for index in itertools.count():
                request = detection_pb2.DetectRequest(model_name="garments", image={"encoded": image})
                yield detection_pb2.StreamDetectRequest(frame_index=index, request=request)
                if over.wait(0.1):
                    return

        with grpc.insecure_channel(server.address) as channel:
            for _ in detection_pb2_grpc.DetectionServiceStub(channel).StreamDetect(frames()):
                pass

    threads = [threading.Thread(target=each) for each in (detect, detect, stream)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@pytest.fixture(scope="module")
def prometheus(server, load, tmp_path_factory):
    """Scrapes the server every second; else as compose.yaml configures it."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "alerts.yml")]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [server.metrics_address]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log) as process:
        try:
            asked = Prometheus(f"http://127.0.0.1:{port}")
            asked.wait(lambda: asked.numbers("count_over_time(up[1m]) > 10"))
            yield asked
        finally:
            process.terminate()


def concrete(query):
    """As Grafana asks it when everything is chosen."""
    query = query.replace("$__rate_interval", "10s")
    return re.sub(r'=~"\$\w+"', '=~".*"', query)


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_panel_shows_something(prometheus, metrics, panel, query):
    if GPU_ONLY in panel["description"] and "\nnv_gpu_" not in metrics:
        assert prometheus.numbers(concrete(query)) == []
        return
    values = prometheus.wait(lambda: prometheus.numbers(concrete(query)))
    assert all(value >= 0 for value in values)


def test_what_is_found_is_seen(prometheus, sample_names):
    found = prometheus.ask("/api/v1/query", query="pasarela_detections")["result"]
    assert {each["metric"]["class"] for each in found} == set(sample_names)


def test_variables_have_values(prometheus):
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            found = prometheus.ask("/api/v1/series", **{"match[]": concrete(selector)})
            assert all(series[label] for series in found)
            assert found, variable["name"]


def test_no_alert_is_raised_by_a_server_that_is_well(prometheus):
    (group,) = prometheus.ask("/api/v1/rules")["groups"]
    assert {rule["name"]: rule["health"] for rule in group["rules"]} == {rule["name"]: "ok" for rule in group["rules"]}
    assert [rule["name"] for rule in group["rules"] if rule["state"] == "firing"] == []


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["check", "rules", "alerts.yml"], id="rules"),
        pytest.param(["check", "config", "--syntax-only", "prometheus.yml"], id="configuration"),
        pytest.param(["test", "rules", "alerts_test.yml"], id="each alert fires when it should"),
    ],
)
def test_promtool_agrees(command):
    done = subprocess.run(["promtool", *command], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    tried = {
        each["alertname"]
        for test in yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
        for each in test["alert_rule_test"]
    }
    assert {rule["alert"] for rule in rules} == tried
