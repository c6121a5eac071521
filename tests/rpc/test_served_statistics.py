"""What a real server says of requests that were made: statistics and metrics agree with each other and with the client."""

import json
import re
import shutil
import urllib.request

import grpc
import numpy as np
import pytest

from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb


@pytest.fixture
def side(stubs):
    """Pixels on each side of a picture that the model takes."""
    config = stubs.inference.ModelConfig(pb.ModelConfigRequest(name="garments_onnx")).config
    fixed = config.input[0].dims[-1]
    return fixed if fixed > 0 else 64


def request(side, **changes):
    shape = [1, 3, side, side]
    right = {
        "model_name": "garments_onnx",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": shape}],
        "raw_input_contents": [np.zeros(shape, np.float32).tobytes()],
    }
    return pb.ModelInferRequest(**(right | changes))


def statistics(stubs, name):
    (found,) = stubs.inference.ModelStatistics(pb.ModelStatisticsRequest(name=name)).model_stats
    return found


def difference(after, before):
    """What was added, in counts."""
    names = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
    counts = {
        name: getattr(after.inference_stats, name).count - getattr(before.inference_stats, name).count for name in names
    }
    return counts | {
        "inferences": after.inference_count - before.inference_count,
        "executions": after.execution_count - before.execution_count,
    }


def test_each_request_counts_once_whichever_way_it_came(stubs, side):
    before = statistics(stubs, "garments_onnx")
    for _ in range(2):
        stubs.inference.ModelInfer(request(side))
    assert len(list(stubs.inference.ModelStreamInfer(iter([request(side)] * 3)))) == 3
    with pytest.raises(grpc.RpcError):
        stubs.inference.ModelInfer(request(side, outputs=[{"name": "boxes"}]))
    after = statistics(stubs, "garments_onnx")

    stages = dict.fromkeys(("success", "queue", "compute_input", "compute_infer", "compute_output"), 5)
    found = difference(after, before)
    assert 2 < found.pop("executions") <= 5, "requests of a stream may share a batch"
    assert found == stages | {"fail": 1, "inferences": 5}
    assert after.last_inference >= before.last_inference
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
    assert sum(batch.compute_infer.count for batch in after.batch_stats) == after.execution_count


def test_images_count_for_the_detection_model(stubs, jpeg):
    before = statistics(stubs, "garments")
    stubs.detection.Detect(detection_pb2.DetectRequest(model_name="garments", image={"encoded": jpeg}))
    with pytest.raises(grpc.RpcError):
        stubs.detection.Detect(detection_pb2.DetectRequest(model_name="garments", image={"encoded": b"no image"}))
    found = difference(statistics(stubs, "garments"), before)
    assert (found["success"], found["fail"], found["inferences"], found["executions"]) == (1, 1, 1, 1)


def test_all_versions_are_there_and_the_metrics_say_the_same(server, stubs, side):
    stubs.inference.ModelInfer(request(side))
    found = stubs.inference.ModelStatistics(pb.ModelStatisticsRequest()).model_stats
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as response:
        text = response.read().decode()

    ready = stubs.inference.RepositoryIndex(pb.RepositoryIndexRequest(ready=True)).models
    assert [(each.name, each.version) for each in found] == [(each.name, each.version) for each in ready]
    for each in found:
        assert f'nv_model_load_duration_secs{{model="{each.name}",version="{each.version}"}}' in text
    assert 'nv_inference_pending_request_count{model="garments_onnx",version="1"} 0.0' in text
    used = [each for each in found if each.inference_stats.success.count]
    assert used
    for each in used:
        labels = re.escape(f'{{model="{each.name}",version="{each.version}"}}')
        shown = {
            name: float(value)
            for name, value in re.findall(rf"^(nv_inference_\w+){labels} (\S+)$", text, flags=re.MULTILINE)
        }
        assert shown["nv_inference_request_success"] == each.inference_stats.success.count
        assert shown["nv_inference_count"] == each.inference_count
        assert shown["nv_inference_exec_count"] == each.execution_count


def test_the_raw_model_under_a_detection_model_counts_what_it_executed(stubs, jpeg):
    name = stubs.inference.ModelConfig(pb.ModelConfigRequest(name="garments")).config.parameters["model"].string_value
    before = statistics(stubs, name)
    for _ in range(3):
        stubs.detection.Detect(detection_pb2.DetectRequest(model_name="garments", image={"encoded": jpeg}))
    found = difference(statistics(stubs, name), before)
    assert (found["inferences"], found["executions"], found["success"]) == (3, 3, 0)


def test_traces_are_on_disk_while_the_server_runs_and_whole_when_it_has_stopped(
    repository, start_server, stubs_for, side, tmp_path
):
    shutil.copytree(repository / "garments_onnx", tmp_path / "models" / "garments_onnx")
    path = tmp_path / "trace.json"
    with start_server(tmp_path / "models", "--trace-file", str(path)) as running:
        inference = stubs_for(running.address).inference
        settings = {"trace_level": {"value": ["TIMESTAMPS"]}, "trace_rate": {"value": ["2"]}}
        told = inference.TraceSetting(pb.TraceSettingRequest(settings=settings)).settings
        for index in range(5):
            inference.ModelInfer(request(side, id=str(index)))
        assert running.stop() == 0

    assert list(told["trace_file"].value) == ["trace.json"]
    found = json.loads(path.read_text())
    assert [(each["model_name"], each["request_id"]) for each in found[::2]] == [
        ("garments_onnx", "1"),
        ("garments_onnx", "3"),
    ]
    for each in found[1::2]:
        moments = [moment["ns"] for moment in each["timestamps"]]
        assert moments == sorted(moments)
        assert [moment["name"] for moment in each["timestamps"]][-1] == "REQUEST_END"


def test_the_log_of_a_running_server_is_changed(repository, start_server, stubs_for, tmp_path):
    with start_server(tmp_path, "--allow-empty-repository", "true") as running:
        inference = stubs_for(running.address).inference

        def change(**settings):
            inference.LogSettings(pb.LogSettingsRequest(settings=settings))

        inference.ServerLive(pb.ServerLiveRequest())
        change(log_verbose_level={"uint32_param": 1}, log_format={"string_param": "ISO8601"})
        inference.ServerLive(pb.ServerLiveRequest())
        change(log_verbose_level={"uint32_param": 0}, log_info={"bool_param": False})
        assert running.stop() == 0
        lines = [line for line in running.log.read_text().splitlines() if "DEBUG" in line or "INFO" in line]

    calls = [line for line in lines if "ServerLive" in line]
    assert len(calls) == 1, lines
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ DEBUG", calls[0])
    assert not [line for line in lines if "INFO" in line and "stopp" in line]
