"""grpcurl knows nothing of the protocols: it learns them from the server, by reflection, and sends JSON."""

import base64
import json
import subprocess

import numpy as np
import pytest

from tests.interop import peers

CLIENT = "grpcurl"
INFERENCE = "inference.GRPCInferenceService"
RAW = {"name": "images", "datatype": "FP32", "shape": [1, 3, 320, 320]}


@pytest.fixture(scope="module")
def grpcurl(server):
    """`grpcurl(method, *requests)` calls and returns the replies, or what is said where it fails."""

    def call(method, *requests, expected_code=0):
        command = [peers.grpcurl(), "-plaintext", "-d", "@", server.address, method]
        sent = "\n".join(map(json.dumps, requests))
        ended = subprocess.run(command, input=sent, capture_output=True, text=True, check=False, timeout=100)
        assert ended.returncode == expected_code, ended.stderr
        return ended.stderr if expected_code else documents(ended.stdout)

    return call


def documents(text):
    """JSON documents that follow each other."""
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def said(server, *words):
    """What grpcurl prints for `list` and `describe`."""
    command = [peers.grpcurl(), "-plaintext", server.address, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def encoded(image):
    """A detection request with the image in typed contents."""
    contents = {"bytes_contents": [base64.b64encode(image.read_bytes()).decode()]}
    return {
        "model_name": "garments",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "contents": contents}],
    }


def pixels(model="garments_onnx", number=0):
    """A raw request with its tensor as bytes."""
    grey = np.full((1, 3, 320, 320), 0.5, np.float32).tobytes()
    raw = [base64.b64encode(grey).decode()]
    return {"model_name": model, "id": f"g{number}", "inputs": [RAW], "raw_input_contents": raw}


@pytest.mark.compatible(CLIENT, "reflection")
def test_services_and_methods_are_listed(server):
    services = said(server, "list").split()
    assert {INFERENCE, "pasarela.v1.DetectionService", "grpc.health.v1.Health"} <= set(services)
    assert f"{INFERENCE}.ModelStreamInfer" in said(server, "list", INFERENCE)


@pytest.mark.compatible(CLIENT, "reflection")
def test_messages_are_described(server):
    assert "repeated bytes raw_input_contents = 7;" in said(server, "describe", "inference.ModelInferRequest")


@pytest.mark.compatible(CLIENT, "liveness and readiness")
def test_liveness_and_readiness(grpcurl):
    assert grpcurl(f"{INFERENCE}/ServerLive", {}) == [{"live": True}]
    assert grpcurl(f"{INFERENCE}/ServerReady", {}) == [{"ready": True}]
    assert grpcurl(f"{INFERENCE}/ModelReady", {"name": "garments"}) == [{"ready": True}]


@pytest.mark.compatible(CLIENT, "health service: Check")
def test_health_of_the_server_and_of_a_model(grpcurl):
    for service in ("", "garments"):
        assert grpcurl("grpc.health.v1.Health/Check", {"service": service}) == [{"status": "SERVING"}]


@pytest.mark.compatible(CLIENT, "health service: Watch")
@pytest.mark.compatible(CLIENT, "client timeout")
def test_watching_begins_with_the_state_and_ends_with_the_clients_time(server):
    command = [peers.grpcurl(), "-plaintext", "-max-time", "4", server.address, "grpc.health.v1.Health/Watch"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert documents(ended.stdout) == [{"status": "SERVING"}]
    assert "DeadlineExceeded" in ended.stderr


@pytest.mark.compatible(CLIENT, "server metadata")
def test_server_metadata(grpcurl):
    assert grpcurl(f"{INFERENCE}/ServerMetadata", {})[0]["name"] == "pasarela"


@pytest.mark.compatible(CLIENT, "model metadata")
def test_model_metadata(grpcurl):
    (metadata,) = grpcurl(f"{INFERENCE}/ModelMetadata", {"name": "garments_onnx"})
    assert metadata["inputs"] == [{"name": "images", "datatype": "FP32", "shape": ["-1", "3", "320", "320"]}]


@pytest.mark.compatible(CLIENT, "model configuration")
def test_model_configuration(grpcurl):
    (reply,) = grpcurl(f"{INFERENCE}/ModelConfig", {"name": "garments_onnx"})
    assert reply["config"]["backend"] == "onnxruntime"


@pytest.mark.compatible(CLIENT, "repository index")
def test_repository_index(grpcurl):
    (index,) = grpcurl(f"{INFERENCE}/RepositoryIndex", {})
    assert {"garments", "garments_onnx"} <= {model["name"] for model in index["models"]}


@pytest.mark.compatible(CLIENT, "inference on raw tensors")
def test_a_tensor_as_bytes(grpcurl):
    (reply,) = grpcurl(f"{INFERENCE}/ModelInfer", pixels())
    (output,) = reply["outputs"]
    elements = np.prod([int(size) for size in output["shape"]])
    assert len(base64.b64decode(reply["raw_output_contents"][0])) == 4 * elements


@pytest.mark.compatible(CLIENT, "inference on raw tensors")
def test_a_tensor_as_numbers(grpcurl):
    numbers = {"fp32_contents": [0.5] * (3 * 320 * 320)}
    (typed,) = grpcurl(
        f"{INFERENCE}/ModelInfer", {"model_name": "garments_onnx", "inputs": [RAW | {"contents": numbers}]}
    )
    (raw,) = grpcurl(f"{INFERENCE}/ModelInfer", pixels())
    of_both = [np.frombuffer(base64.b64decode(reply["raw_output_contents"][0]), np.float32) for reply in (typed, raw)]
    np.testing.assert_allclose(*of_both, rtol=1e-4, atol=1e-4)


@pytest.mark.compatible(CLIENT, "inference on an encoded image")
def test_an_image_through_the_detection_model(grpcurl, image, sample_names):
    (reply,) = grpcurl(f"{INFERENCE}/ModelInfer", encoded(image))
    shapes = {output["name"]: output["shape"] for output in reply["outputs"]}
    assert shapes.keys() == {"boxes", "scores", "class_ids", "class_names"}
    assert sample_names is None or shapes["boxes"] == [str(len(sample_names)), "4"]


@pytest.mark.compatible(CLIENT, "requested outputs")
def test_only_the_requested_output_comes_back(grpcurl, image):
    (reply,) = grpcurl(f"{INFERENCE}/ModelInfer", encoded(image) | {"outputs": [{"name": "scores"}]})
    assert [output["name"] for output in reply["outputs"]] == ["scores"]


@pytest.mark.compatible(CLIENT, "request parameters")
def test_options_as_parameters(grpcurl, image):
    parameters = {"max_detections": {"int64_param": 1}, "confidence": {"double_param": 0.25}}
    (reply,) = grpcurl(f"{INFERENCE}/ModelInfer", encoded(image) | {"parameters": parameters})
    assert int(reply["outputs"][0]["shape"][0]) <= 1


@pytest.mark.compatible(CLIENT, "typed detection")
def test_typed_detection_needs_no_tensors(grpcurl, image, sample_names):
    sent = {"model_name": "garments", "image": {"encoded": base64.b64encode(image.read_bytes()).decode()}}
    (reply,) = grpcurl("pasarela.v1.DetectionService/Detect", sent)
    assert reply["model_name"] == "garments"
    assert sample_names is None or len(reply["detections"]["scores"]) == len(sample_names)


@pytest.mark.compatible(CLIENT, "errors with status and message")
def test_errors_arrive_with_status_and_message(grpcurl):
    said = grpcurl(f"{INFERENCE}/ModelInfer", pixels("trousers"), expected_code=64 + 5)
    assert "NotFound" in said
    assert "trousers" in said


@pytest.mark.compatible(CLIENT, "streaming")
def test_a_stream_answers_in_the_order_of_the_requests(grpcurl):
    replies = grpcurl(f"{INFERENCE}/ModelStreamInfer", *(pixels(number=number) for number in range(3)))
    assert [reply["infer_response"]["id"] for reply in replies] == ["g0", "g1", "g2"]


@pytest.mark.compatible(CLIENT, "errors within a stream")
def test_an_error_names_its_request_and_the_stream_goes_on(grpcurl):
    requests = (pixels(number=0), pixels("trousers", number=1), pixels(number=2))
    replies = grpcurl(f"{INFERENCE}/ModelStreamInfer", *requests)
    assert [reply["infer_response"]["id"] for reply in replies] == ["g0", "g1", "g2"]
    assert ["trousers" in reply.get("error_message", "") for reply in replies] == [False, True, False]


@pytest.mark.compatible(CLIENT, "final response of a stream")
def test_each_answer_says_that_it_is_its_requests_last(grpcurl):
    replies = grpcurl(f"{INFERENCE}/ModelStreamInfer", pixels(), pixels())
    finals = [reply["infer_response"]["parameters"]["triton_final_response"] for reply in replies]
    assert finals == [{"bool_param": True}] * 2


@pytest.mark.compatible(CLIENT, "statistics")
def test_statistics_of_one_model_and_of_all(grpcurl):
    grpcurl(f"{INFERENCE}/ModelInfer", pixels())
    (of_one,) = grpcurl(f"{INFERENCE}/ModelStatistics", {"name": "garments_onnx"})
    (counted,) = of_one["model_stats"]
    assert int(counted["inference_count"]) >= 1
    assert int(counted["inference_stats"]["success"]["ns"]) > 0
    (of_all,) = grpcurl(f"{INFERENCE}/ModelStatistics", {})
    assert {"garments", "garments_onnx"} <= {model["name"] for model in of_all["model_stats"]}


@pytest.mark.compatible(CLIENT, "log settings")
def test_log_settings_are_told(grpcurl):
    (log,) = grpcurl(f"{INFERENCE}/LogSettings", {})
    assert log["settings"]["log_info"] == {"bool_param": True}


@pytest.mark.compatible(CLIENT, "trace settings")
def test_trace_settings_are_told(grpcurl):
    (trace,) = grpcurl(f"{INFERENCE}/TraceSetting", {"model_name": "garments_onnx"})
    assert trace["settings"]["trace_level"] == {"value": ["OFF"]}


@pytest.mark.compatible(CLIENT, "load and unload without explicit control", "refused as Triton does")
@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_without_explicit_control_models_stay_as_they_are(grpcurl, method):
    said = grpcurl(f"{INFERENCE}/{method}", {"model_name": "garments_onnx"}, expected_code=64 + 14)
    assert "Unavailable" in said
    assert "explicit" in said
