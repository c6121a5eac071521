"""The echo server that the generator is measured against, over a real connection."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from loadtest.server_process import free_port, process_until_left, wait_until_ready
from pasarela_proto import detection_pb2, detection_pb2_grpc, inference_pb2, inference_pb2_grpc

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def echo(log: Path, *flags: str) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    with process_until_left([sys.executable, "-m", "loadtest.echo", address, *flags], log) as (process, _):
        assert wait_until_ready(address, 30, process), log.read_text()
        yield address


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with echo(tmp_path_factory.mktemp("echo") / "echo.log") as running:
        yield running


def test_an_image_is_answered_as_a_detector_would(address: str, sample_image: Path) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        image = detection_pb2.Image(encoded=sample_image.read_bytes())
        answer = stub.Detect(detection_pb2.DetectRequest(model_name="garments", id="7", image=image), timeout=10)
    assert (answer.model_name, answer.id, answer.model_version) == ("garments", "7", "1")
    found = answer.detections
    assert len(found.boxes) == 4 * len(found.scores) == 4 * len(found.class_names) > 0
    assert answer.timings.total_ns > 0
    assert answer.timings.batch_size == 1


def test_frames_are_answered_in_order_with_their_index(address: str) -> None:
    def frames() -> Iterator[detection_pb2.StreamDetectRequest]:
        for index in (3, 4, 9):
            yield detection_pb2.StreamDetectRequest(frame_index=index)

    with grpc.insecure_channel(address) as channel:
        answers = list(detection_pb2_grpc.DetectionServiceStub(channel).StreamDetect(frames(), timeout=10))
    assert [answer.frame_index for answer in answers] == [3, 4, 9]
    assert all(answer.response.detections.scores for answer in answers)


def test_tensors_have_the_shapes_of_the_server_that_it_is_like(server, tmp_path: Path) -> None:
    def ask(url: str) -> tuple[inference_pb2.ModelMetadataResponse, inference_pb2.ModelInferResponse]:
        request = inference_pb2.ModelInferRequest(model_name="garments_onnx")
        request.inputs.add(name="images", datatype="FP32", shape=[2, 3, 320, 320])
        request.raw_input_contents.append(bytes(2 * 3 * 320 * 320 * 4))
        with grpc.insecure_channel(url, options=[("grpc.max_receive_message_length", -1)]) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            described = stub.ModelMetadata(inference_pb2.ModelMetadataRequest(name="garments_onnx"), timeout=10)
            return described, stub.ModelInfer(request, timeout=30)

    theirs, real = ask(server.address)
    with echo(tmp_path / "echo.log", "--like", server.address) as address:
        ours, echoed = ask(address)
    assert ours.inputs == theirs.inputs
    assert [list(one.shape) for one in echoed.outputs] == [list(one.shape) for one in real.outputs]
    assert [len(one) for one in echoed.raw_output_contents] == [len(one) for one in real.raw_output_contents]


def test_help_says_what_it_is_for() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.echo", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--like" in done.stdout


def test_a_model_that_the_other_server_does_not_tell_of_has_the_usual_shape(tmp_path: Path) -> None:
    with echo(tmp_path / "echo.log", "--like", "127.0.0.1:9") as address, grpc.insecure_channel(address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        described = stub.ModelMetadata(inference_pb2.ModelMetadataRequest(name="m"), timeout=20)
    assert list(described.inputs[0].shape) == [-1, 3, 320, 320]


def test_the_generators_limit_is_measured_with_its_own_users() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.generator_limit", "smoke", "--again"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(r"the generator itself makes at most ([\d.]+) requests a second .*\n", done.stdout)
    assert found, done.stdout
    assert float(found[1]) > 10
    assert "detect, stream" in done.stdout


def test_a_scenario_that_is_not_there_is_wrong_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.generator_limit", "nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no such scenario" in done.stderr
