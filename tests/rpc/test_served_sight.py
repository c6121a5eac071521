"""What a running server tells of itself, with and without processes before it: its log in JSON, and what it finds."""

import json
import urllib.request
from collections import Counter

import cv2
import grpc
import numpy as np
import pytest

from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb
from tests.hostile_backend import NO_MEMORY, write_hostile
from tests.hostile_server import HOSTILE
from tests.server_log import wait_for_log
from tests.tiny_models import write_detector

JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), 127, np.uint8))[1].tobytes()
CONFIG = 'backend: "detection" parameters { key: "model" value { string_value: "raw" } }'
TOKEN = "a-token-that-nobody-may-read-0123456789"


@pytest.fixture(scope="module")
def tiny_repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("sight")
    write_detector(root / "raw" / "1", ("shirt", "hat"))
    (root / "garments" / "1").mkdir(parents=True)
    (root / "garments" / "config.pbtxt").write_text(CONFIG)
    return root


def detect(**rest):
    return detection_pb2.DetectRequest(**{"model_name": "garments", "image": {"encoded": JPEG}} | rest)


def infer(model="garments", **rest):
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [JPEG]}}
    return pb.ModelInferRequest(model_name=model, inputs=[tensor], **rest)


def scrape(server):
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


@pytest.mark.parametrize("fronts", ["0", "2"])
def test_each_request_is_an_object_of_the_log(tiny_repository, start_server, stubs_for, tmp_path, fronts):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"inference {TOKEN}\n")
    tokens.chmod(0o600)
    flags = ["--log-format", "json", "--log-verbose", "1", "--frontends", fronts, "--auth-tokens-file", str(tokens)]
    with start_server(tiny_repository, *flags) as server:
        stubs, token = stubs_for(server.address), [("authorization", f"Bearer {TOKEN}")]
        stubs.detection.Detect(detect(id="good"), metadata=token)
        frames = [detection_pb2.StreamDetectRequest(request=detect(id="frame"))]
        assert len(list(stubs.detection.StreamDetect(iter(frames), metadata=token))) == 1
        for wrong in (detect(id="wrong", image={"encoded": b"no picture"}), detect(id="lost", model_name="trousers")):
            with pytest.raises(grpc.RpcError):
                stubs.detection.Detect(wrong, metadata=token)
        with pytest.raises(grpc.RpcError):
            stubs.detection.Detect(detect(id="stranger"), metadata=[("authorization", f"Bearer {TOKEN}x")])
        assert server.stop() == 0
        text = server.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    requests = {line["request_id"]: line for line in lines if line["logger"] == "pasarela_server.requests"}
    assert {name: (each["model"], each["status"]) for name, each in requests.items()} == {
        "good": ("garments", "OK"),
        "frame": ("garments", "OK"),
        "wrong": ("garments", "INVALID_ARGUMENT"),
    }
    good = requests["good"]
    assert (good["version"], good["rows"], good["batch_size"]) == (1, 1, 1)
    assert good["close_reason"]
    assert {"decode", "queue", "infer", "nms"} <= good["stages_ms"].keys()
    assert sum(good["stages_ms"].values()) <= good["duration_ms"]
    failed = {(line["request_id"], line["status"], line["error"]) for line in lines if line.get("error")}
    assert {("wrong", "INVALID_ARGUMENT", "InvalidRequest"), ("lost", "NOT_FOUND", "ModelNotFound")} <= failed
    assert TOKEN not in text
    assert str(tiny_repository) not in text


def test_the_log_of_all_processes_changes_while_they_run(tiny_repository, start_server, stubs_for):
    with start_server(tiny_repository, "--frontends", "1") as server:
        stubs = stubs_for(server.address)
        stubs.detection.Detect(detect(id="before"))
        settings = {"log_format": {"string_param": "json"}, "log_verbose_level": {"uint32_param": 1}}
        told = stubs.inference.LogSettings(pb.LogSettingsRequest(settings=settings)).settings
        assert told["log_format"].string_param == "json"
        stubs.detection.Detect(detect(id="after"))
        # reason: the first is written by the main process, the second by the front
        line = json.loads(wait_for_log(server, r'.*"pasarela_server.requests".*"after".*')[0])
        call = json.loads(wait_for_log(server, r'.*"rpc": "/pasarela.v1.DetectionService/Detect".*')[0])
        assert "before" not in server.log.read_text()
    assert (line["request_id"], line["status"]) == ("after", "OK")
    assert (call["request_id"], call["status"]) == ("after", "OK")


def test_the_log_of_the_processes_of_models_changes_with_the_servers(tmp_path, start_server, stubs_for):
    write_hostile(tmp_path / "hostile")
    with start_server(tmp_path, "--isolation", "process", under=HOSTILE) as server:
        stubs = stubs_for(server.address)
        settings = {"log_format": {"string_param": "json"}}
        stubs.inference.LogSettings(pb.LogSettingsRequest(settings=settings))
        x = np.array([[NO_MEMORY, 0]], np.float32)
        request = pb.ModelInferRequest(model_name="hostile", raw_input_contents=[x.tobytes()])
        request.inputs.add(name="x", datatype="FP32", shape=x.shape)
        with pytest.raises(grpc.RpcError):
            stubs.inference.ModelInfer(request)
        line = json.loads(wait_for_log(server, r".*the process of model 'hostile' failed.*")[0])
    assert (line["level"], line["logger"]) == ("ERROR", "pasarela_server.backends.isolation")


@pytest.mark.parametrize("fronts", ["0", "1"])
def test_what_is_found_is_counted_on_every_way(tiny_repository, start_server, stubs_for, fronts):
    with start_server(tiny_repository, "--frontends", fronts) as server:
        stubs = stubs_for(server.address)
        stubs.detection.Detect(detect())
        list(stubs.detection.StreamDetect(iter([detection_pb2.StreamDetectRequest(request=detect())] * 2)))
        stubs.inference.ModelInfer(infer(outputs=[{"name": "boxes"}]))
        list(stubs.inference.ModelStreamInfer(iter([infer()])))
        stubs.detection.Detect(detect(model_name="raw", options={"class_names": ["hat"]}))
        wait_for_counts(server, 'nv_inference_request_success{model="garments",version="1"}', 5)
        found = scrape(server)
    by_class = Counter()
    for name, value in found.items():
        if name.startswith("pasarela_detections{"):
            by_class[name.removeprefix("pasarela_detections")] += value
    assert by_class == {
        '{class="shirt",model="garments",version="1"}': 5,
        '{class="hat",model="garments",version="1"}': 5,
        '{class="hat",model="raw",version="1"}': 1,
    }
    assert found['pasarela_detection_confidence_count{model="garments",version="1"}'] == 10
    assert found['pasarela_processes{process="main"}'] == 1
    assert found.get('pasarela_processes{process="front"}', 0) == int(fronts)
    assert (found["pasarela_ready"], found['pasarela_model_ready{model="raw",version="1"}']) == (1, 1)


def wait_for_counts(server, name, count):
    """A front tells what it has done a moment after its client has the answer: returns when all of it is told."""
    for _ in range(10_000):
        if scrape(server).get(name) == count:
            return
    raise AssertionError(f"{name} does not become {count}")


@pytest.mark.parametrize("fronts", ["0", "1"])
def test_open_streams_are_seen(tiny_repository, start_server, stubs_for, fronts):
    method = "pasarela.v1.DetectionService/StreamDetect"
    with start_server(tiny_repository, "--frontends", fronts) as server:
        stubs = stubs_for(server.address)

        def frames():
            yield detection_pb2.StreamDetectRequest(request=detect())
            wait_for_counts(server, f'pasarela_open_streams{{method="{method}"}}', 1)

        assert len(list(stubs.detection.StreamDetect(frames()))) == 1
        wait_for_counts(server, f'pasarela_open_streams{{method="{method}"}}', 0)
