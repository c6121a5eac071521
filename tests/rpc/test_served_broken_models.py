"""A repository with models broken in different ways: each says why, the sound one serves."""

import shutil

import grpc
import pytest
from grpc_health.v1 import health_pb2

from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb

HALVES = {"half_onnx": "model.onnx", "half_openvino": "model.bin", "half_pytorch": "model.pt"}


def halve(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.fixture(scope="module")
def broken_repository(repository, tmp_path_factory):
    root = tmp_path_factory.mktemp("broken")
    shutil.copytree(repository / "garments_onnx" / "1", root / "sound" / "1")
    shutil.copytree(repository / "garments_onnx" / "1", root / "typo" / "1")
    (root / "typo" / "config.pbtxt").write_text('name: "typo"\nmax_batch_size: 4\n  max_bach_size: 4\n')
    for name, file in HALVES.items():
        shutil.copytree(repository / name.replace("half", "garments") / "1", root / name / "1")
        halve(root / name / "1" / file)
    (root / "no_version").mkdir()
    (root / "detector").mkdir()
    (root / "detector" / "config.pbtxt").write_text(
        'backend: "detection"\nparameters { key: "model" value { string_value: "sound" } }\n'
    )
    return root


@pytest.fixture(scope="module")
def broken_server(broken_repository, start_server):
    with start_server(broken_repository) as running:
        yield running


@pytest.fixture
def broken(broken_server, stubs_for):
    return stubs_for(broken_server.address)


@pytest.fixture
def index(broken):
    return {model.name: model for model in broken.inference.RepositoryIndex(pb.RepositoryIndexRequest()).models}


def test_a_typo_is_found_by_line_and_column(index):
    typo = index["typo"]
    assert typo.state == "UNAVAILABLE"
    assert "max_bach_size" in typo.reason
    assert "line 3" in typo.reason
    assert "column 3" in typo.reason


@pytest.mark.parametrize("name", HALVES)
def test_a_model_file_cut_in_half_is_unavailable_with_a_reason(index, broken, broken_repository, name):
    half = index[name]
    assert half.state == "UNAVAILABLE"
    assert HALVES[name].partition(".")[0] in half.reason
    assert str(broken_repository) not in half.reason

    for version, code in (("", grpc.StatusCode.NOT_FOUND), ("1", grpc.StatusCode.UNAVAILABLE)):
        with pytest.raises(grpc.RpcError) as refused:
            broken.inference.ModelInfer(pb.ModelInferRequest(model_name=name, model_version=version))
        assert refused.value.code() is code
        assert half.reason[:40] in refused.value.details()


def test_a_model_without_versions_says_so(index):
    assert index["no_version"].state == "UNAVAILABLE"
    assert "version" in index["no_version"].reason


def test_the_sound_ones_serve(index, broken, jpeg):
    assert (index["sound"].state, index["detector"].state) == ("READY", "READY")
    request = detection_pb2.DetectRequest(model_name="detector", image={"encoded": jpeg})
    assert broken.detection.Detect(request).image_width == 128


def test_only_ready_ones_if_asked(broken):
    models = broken.inference.RepositoryIndex(pb.RepositoryIndexRequest(ready=True)).models
    assert {model.name for model in models} == {"sound", "detector"}


def test_readiness_is_strict_and_health_is_told_by_model(broken):
    assert not broken.inference.ServerReady(pb.ServerReadyRequest()).ready
    assert broken.inference.ModelReady(pb.ModelReadyRequest(name="sound")).ready
    assert not broken.inference.ModelReady(pb.ModelReadyRequest(name="typo")).ready
    states = {
        name: broken.health.Check(health_pb2.HealthCheckRequest(service=name)).status
        for name in ("", "sound", "detector", "typo", *HALVES)
    }
    serving = {name for name, status in states.items() if status == health_pb2.HealthCheckResponse.SERVING}
    assert serving == {"sound", "detector"}


def test_the_report_has_the_same_reasons(broken_server, index):
    (line,) = [line for line in broken_server.report.splitlines() if line.startswith("typo ")]
    assert "UNAVAILABLE" in line
    assert " ".join(index["typo"].reason.split()) in line
