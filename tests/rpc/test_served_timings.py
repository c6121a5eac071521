"""Where a real server says that the time of a request went."""

import re
import time
import urllib.request

import numpy as np
import pytest

from pasarela_client import Detector
from pasarela_client.timings import BETWEEN, STAGES
from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb

REASONS = {"full", "preferred", "delay", "deadline", "idle", "alone"}
OF_IMAGES = {"decode_queue", "decode", "letterbox", "nms_queue", "nms"}


def parameters(response):
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in response.parameters.items()}


@pytest.mark.parametrize("model", ["garments", "garments_onnx"], ids=["a detection model", "a raw model"])
def test_the_stages_of_an_image_add_up_to_no_more_than_it_took(server, jpeg, model):
    with Detector(server.address, model) as detector:
        for _ in range(3):
            timings = detector.detect(jpeg).timings
            stages = timings.stages
            assert stages.keys() >= {*STAGES, BETWEEN}
            assert min(stages.values()) >= 0
            assert sum(stages.values()) == timings.total_ns, "what is left of the total was not negative"
            assert 0 < timings.total_ns < timings.round_trip_ns
            assert timings.batch_size == 1
            assert timings.close_reason in REASONS
            assert timings.instance >= 0


@pytest.mark.parametrize("streamed", [False, True], ids=["ModelInfer", "ModelStreamInfer"])
def test_a_tensor_passes_no_stage_of_an_image(stubs, streamed):
    config = stubs.inference.ModelConfig(pb.ModelConfigRequest(name="garments_onnx")).config
    side = config.input[0].dims[-1]
    shape = [1, 3, *([side] * 2 if side > 0 else [64] * 2)]
    request = pb.ModelInferRequest(
        model_name="garments_onnx",
        inputs=[{"name": "images", "datatype": "FP32", "shape": shape}],
        raw_input_contents=[np.zeros(shape, np.float32).tobytes()],
        parameters={"timings": {"bool_param": True}},
    )
    begun_ns = time.monotonic_ns()
    if streamed:
        (reply,) = stubs.inference.ModelStreamInfer(iter([request]))
        response = reply.infer_response
    else:
        response = stubs.inference.ModelInfer(request)
    seen_ns = time.monotonic_ns() - begun_ns

    told = parameters(response)
    stages = {stage: told[f"{stage}_ns"] for stage in STAGES}
    assert {stage for stage, time_ns in stages.items() if time_ns} == {*STAGES} - OF_IMAGES
    assert sum(stages.values()) <= told["total_ns"] < seen_ns
    assert (told["batch_size"], told["close_reason"] in REASONS) == (1, True)
    instances = sum(group.count for group in config.instance_group) or 1
    assert 0 <= told["instance"] < instances


def test_an_image_as_a_tensor_tells_the_stages_of_an_image(stubs, jpeg):
    request = pb.ModelInferRequest(
        model_name="garments",
        inputs=[{"name": "image", "datatype": "BYTES", "shape": [1, 1]}],
        raw_input_contents=[len(jpeg).to_bytes(4, "little") + jpeg],
        parameters={"timings": {"bool_param": True}},
    )
    config = stubs.inference.ModelConfig(pb.ModelConfigRequest(name="garments")).config
    request.inputs[0].name = config.input[0].name
    request.inputs[0].shape[:] = [1]
    told = parameters(stubs.inference.ModelInfer(request))
    assert all(told[f"{stage}_ns"] > 0 for stage in STAGES)


def test_images_that_come_together_say_in_which_batch_they_travelled(server, stubs, jpeg):
    frame = detection_pb2.StreamDetectRequest(
        request=detection_pb2.DetectRequest(model_name="garments_onnx", image={"encoded": jpeg})
    )
    found = [reply.response.timings for reply in stubs.detection.StreamDetect(iter([frame] * 16))]
    assert len(found) == 16
    for timings in found:
        assert timings.total_ns >= sum(getattr(timings, f"{stage}_ns") for stage in STAGES)
        assert timings.preprocess_ns == timings.decode_ns + timings.letterbox_ns + timings.batch_ns
        assert timings.postprocess_ns == timings.split_ns + timings.nms_ns


def test_the_metrics_hold_every_stage_and_why_batches_were_closed(server, stubs, jpeg):
    stubs.detection.Detect(detection_pb2.DetectRequest(model_name="garments", image={"encoded": jpeg}))
    below = stubs.inference.ModelConfig(pb.ModelConfigRequest(name="garments")).config.parameters["model"].string_value
    (counted,) = stubs.inference.ModelStatistics(pb.ModelStatisticsRequest(name="garments")).model_stats
    (executed,) = stubs.inference.ModelStatistics(pb.ModelStatisticsRequest(name=below)).model_stats
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as response:
        text = response.read().decode()

    def shown(metric, model, label):
        pattern = rf'^{metric}{{(?=.*model="{model}")(?=.*{label}="(\w+)").*}} (\S+)$'
        return {value: float(count) for value, count in re.findall(pattern, text, flags=re.MULTILINE)}

    stages = shown("pasarela_request_stage_seconds_count", "garments", "stage")
    assert stages == dict.fromkeys(["request", *STAGES], counted.inference_stats.success.count)
    assert shown("pasarela_request_stage_seconds_sum", "garments", "stage")["infer"] > 0
    closed = shown("pasarela_batches_closed", below, "reason")
    assert closed.keys() <= REASONS
    assert sum(closed.values()) == executed.execution_count
    assert sum(shown("pasarela_instance_batches", below, "instance").values()) == executed.execution_count
    assert shown("pasarela_batches_closed", "garments", "reason") == {}, "a detection model executes nothing itself"
