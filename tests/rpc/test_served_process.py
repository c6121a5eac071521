"""The process: how it starts, what it says, how it refuses to start, how it ends."""

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from queue import SimpleQueue

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb


def run_server(*flags):
    command = [sys.executable, "-m", "pasarela_server", "--grpc-port", "0", "--metrics-port", "0", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_report_says_what_is_served_where_and_what_to_type(server):
    lines = server.report.splitlines()
    assert lines[0].split() == ["model", "version", "state", "backend"]
    assert {line.split()[0] for line in lines[1:7]} == {
        "garments", "garments_int8", "garments_nms", "garments_onnx", "garments_openvino", "garments_pytorch",
    }  # fmt: skip
    assert all(line.split()[2] == "READY" for line in lines[1:5])
    assert lines[-2] == f"gRPC on {server.address}, metrics on http://{server.metrics_address}/metrics"
    assert re.fullmatch(rf"Try: \S*pasarela detect \S+ --url {re.escape(server.address)}", lines[-1])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(lambda path: path / "nowhere", "does not exist", id="missing"),
        pytest.param(lambda path: path, "holds no models", id="empty"),
        pytest.param(lambda path: path / "file", "is a file", id="a file"),
    ],
)
def test_a_repository_that_cannot_be_served_is_one_clear_line(tmp_path, make, text):
    repository = make(tmp_path)
    if repository.name == "file":
        repository.touch()

    ended = run_server("--model-repository", str(repository))

    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("pasarela-server: error: ")
    assert str(repository) in line
    assert text in line


@pytest.mark.parametrize("flag", ["--grpc-port", "--metrics-port"])
def test_a_port_in_use_is_one_clear_line(tmp_path, flag):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = run_server(
            "--model-repository", str(tmp_path), "--allow-empty-repository", "true", "--grpc-address", "127.0.0.1",
            flag, port,
        )  # fmt: skip
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"127.0.0.1:{port}: Address already in use" in line
    assert flag in line


def test_an_empty_repository_serves_if_asked_for(tmp_path, start_server, stubs_for):
    flags = ("--allow-empty-repository", "true", "--allow-metrics", "false")
    with start_server(tmp_path, *flags) as running:
        stubs = stubs_for(running.address)
        assert stubs.inference.ServerReady(pb.ServerReadyRequest()).ready
        assert "no models" in running.report
        assert "metrics" not in running.report
        assert running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_drains(tmp_path, start_server, stubs_for, number):
    """An open stream is ended with a status, health is told first, and the exit code is 0."""
    with start_server(tmp_path, "--allow-empty-repository", "true") as running:
        stubs = stubs_for(running.address)
        watch = stubs.health.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        opened, ended = _open_stream(stubs)
        assert opened.WhichOneof("result") == "error"

        assert running.stop(number) == 0

        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert list(watch) == []
        with pytest.raises(grpc.RpcError) as refused:
            next(ended)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "stopping" in refused.value.details()
        assert "Traceback" not in running.log.read_text()


def _open_stream(stubs):
    """A stream that has had one answer and stays open on the client's side."""
    frames = SimpleQueue()
    frames.put(detection_pb2.StreamDetectRequest(frame_index=1))
    call = stubs.detection.StreamDetect(iter(frames.get, None))
    call.add_callback(lambda: frames.put(None))
    return next(call), call


def test_metrics_port(server, stubs, jpeg):
    stubs.detection.Detect(detection_pb2.DetectRequest(model_name="garments", image={"encoded": jpeg}))

    def get(path):
        with urllib.request.urlopen(f"http://{server.metrics_address}{path}") as response:
            return response.read().decode()

    assert 'nv_inference_request_success{model="garments",version="1"}' in get("/metrics")
    assert get("/healthz") == "alive\n"
    assert get("/readyz") == "ready\n"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get("/")


def test_health_of_services_and_models(stubs):
    for service in ("", "inference.GRPCInferenceService", "pasarela.v1.DetectionService", "garments", "garments_onnx"):
        status = stubs.health.Check(health_pb2.HealthCheckRequest(service=service)).status
        assert status == health_pb2.HealthCheckResponse.SERVING, service
    with pytest.raises(grpc.RpcError) as unknown:
        stubs.health.Check(health_pb2.HealthCheckRequest(service="trousers"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services(stubs):
    assert set(ProtoReflectionDescriptorDatabase(stubs.channel).get_services()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "pasarela.v1.DetectionService",
    }
