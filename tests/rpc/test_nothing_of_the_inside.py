"""Many failures on one server: no message that a client can get tells a path, a traceback, or what lies elsewhere."""

import re
from pathlib import Path

import grpc
import numpy as np
import pytest

from pasarela_proto import detection_pb2, inference_pb2_grpc
from pasarela_proto import inference_pb2 as pb
from tests.tiny_models import write_detector, write_onnx, write_openvino

SECRET = 1234.5
INSIDE = re.compile(
    r"Traceback|File \"|\bline \d+, in\b|site-packages|\.py\b|\.cpp\b|\.cc\b|0x[0-9a-f]{6,}"
    r"|(?:^|[\s'\"(=:\[])/(?:tmp|home|root|usr|etc|var|proc|work|opt|dev)\b"
)


def write_external(folder, location):
    """A model that adds two numbers which lie in another file."""
    import onnx
    from onnx import TensorProto, helper

    number = TensorProto(name="n", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    entry = number.external_data.add()
    entry.key, entry.value = "location", location
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "n"], ["y"])], "external",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])], [number],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    assert onnx.load_model(folder / "model.onnx", load_external_data=False).graph.initializer[0].external_data


def external_models(root, elsewhere):
    """By name: models whose numbers lie out of the repository; each by another way."""
    locations = {"up": "../../../elsewhere/secret.bin", "absolute": str(elsewhere / "secret.bin"), "link": "secret.bin",
                 "detour": "./x/../../../../elsewhere/secret.bin"}  # fmt: skip
    for name, location in locations.items():
        for backend in ("onnxruntime", "openvino"):
            folder = root / f"external_{name}_{backend}"
            write_external(folder / "1", location)
            (folder / "config.pbtxt").write_text(f'backend: "{backend}"\n')
            if name == "link":
                (folder / "1" / "secret.bin").symlink_to(elsewhere / "secret.bin")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, start_server):
    """A server that loads on demand, with many models that cannot be loaded; and the folder that its own lies in."""
    whole = tmp_path_factory.mktemp("inside")
    root, elsewhere = whole / "models", whole / "elsewhere"
    elsewhere.mkdir()
    np.array([SECRET, SECRET], np.float32).tofile(elsewhere / "secret.bin")
    (elsewhere / "labels.txt").write_text("secret\n")
    (elsewhere / "labels.json").write_text('{"stable": 1}')
    write_onnx(root / "sound" / "1", 1)
    write_detector(root / "network" / "1", ("coat",))
    (root / "eyes").mkdir()
    (root / "eyes" / "config.pbtxt").write_text(
        'backend: "detection"\nparameters { key: "model" value { string_value: "network" } }\n'
    )
    external_models(root, elsewhere)
    for name, file in (("garbage_onnx", "model.onnx"), ("garbage_xml", "model.xml"), ("garbage_pt", "model.pt")):
        (root / name / "1").mkdir(parents=True)
        (root / name / "1" / file).write_bytes(b"nothing that makes sense" * 10)
    write_openvino(root / "no_weights" / "1", 1)
    (root / "no_weights" / "1" / "model.bin").unlink()
    write_onnx(elsewhere / "outside" / "1", 1)
    (root / "linked_model").symlink_to(elsewhere / "outside")
    (root / "linked_version").mkdir()
    (root / "linked_version" / "1").symlink_to(elsewhere / "outside" / "1")
    for name, text in {
        "filename_up": 'default_model_filename: "../../../elsewhere/outside/1/model.onnx" backend: "onnxruntime"',
        "filename_absolute": 'default_model_filename: "/outside/1/model.onnx" backend: "onnxruntime"',
        "labels_up": 'output { name: "y" data_type: TYPE_FP32 dims: [2] label_filename: "../../elsewhere/labels.txt" }',
        "labels_link": 'output { name: "y" data_type: TYPE_FP32 dims: [2] label_filename: "labels.txt" }',
        "warmup_up": warmup("../../../elsewhere/secret.bin"),
        "warmup_link": warmup("secret.bin"),
        "runs_outside": 'backend: "detection" parameters { key: "model" value { string_value: "../../elsewhere/outside" } }',
        "typo": "max_bach_size: 3",
    }.items():
        write_onnx(root / name / "1", 1)
        (root / name / "config.pbtxt").write_text(text)
    (root / "labels_link" / "labels.txt").symlink_to(elsewhere / "labels.txt")
    (root / "warmup_link" / "warmup").mkdir()
    (root / "warmup_link" / "warmup" / "secret.bin").symlink_to(elsewhere / "secret.bin")
    write_onnx(root / "version_labels_link" / "1", 1)
    (root / "version_labels_link" / "version_labels.json").symlink_to(elsewhere / "labels.json")
    flags = ("--model-control-mode", "explicit", "--load-model", "sound", "--load-model", "eyes")
    with start_server(root, *flags) as running:
        yield running, root


def warmup(file):
    return (
        'model_warmup { name: "w" batch_size: 1 inputs { key: "x" value { data_type: TYPE_FP32 dims: [2] '
        f'input_data_file: "{file}" }} }} }}'
    )


def broken_models(root):
    return sorted(folder.name for folder in root.iterdir() if folder.name not in ("sound", "network", "eyes"))


def failure(call):
    """The message with which a call ends; fails if it is answered."""
    with pytest.raises(grpc.RpcError) as ended:
        call()
    return ended.value


def test_what_lies_out_of_the_repository_is_never_read(hostile):
    server, root = hostile
    outside = [
        name for name in broken_models(root) if re.match("external|linked|filename|labels|warmup|version|runs", name)
    ]
    assert len(outside) == 18
    with grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for name in outside:
            error = failure(lambda name=name: stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name)))
            assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT), name
            assert str(SECRET) not in error.details()
            assert not stub.ModelReady(pb.ModelReadyRequest(name=name)).ready, name


def test_external_data_in_the_version_are_read(hostile):
    """What is refused above is the way out, not the kind of model."""
    server, root = hostile
    folder = root / "sound_external" / "1"
    write_external(folder, "numbers.bin")
    np.array([3.0, 4.0], np.float32).tofile(folder / "numbers.bin")
    try:
        with grpc.insecure_channel(server.address) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="sound_external"))
            request = pb.ModelInferRequest(model_name="sound_external", raw_input_contents=[bytes(8)])
            request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
            y = np.frombuffer(stub.ModelInfer(request).raw_output_contents[0], np.float32)
            assert y.tolist() == [3.0, 4.0]
            stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="sound_external"))
    finally:
        (folder / "model.onnx").unlink()
        (folder / "numbers.bin").unlink()
        folder.rmdir()
        folder.parent.rmdir()


def sent(name, files, config="{}"):
    request = pb.RepositoryModelLoadRequest(model_name=name)
    request.parameters["config"].string_param = config
    for path, content in files.items():
        request.parameters[f"file:{path}"].bytes_param = content
    return request


def test_files_that_are_sent_stay_in_their_folder_and_read_nothing_outside(hostile, tmp_path):
    server, root = hostile
    write_external(tmp_path, str(root.parent / "elsewhere" / "secret.bin"))
    outside = (tmp_path / "model.onnx").read_bytes()
    sound = (root / "sound" / "1" / "model.onnx").read_bytes()
    bad = [
        *(sent("new", {path: sound}) for path in ("../1/model.onnx", "/1/model.onnx", "1/../../x", "..", "1//../../x", "1\\..\\x")),
        *(sent(name, {"1/model.onnx": sound}) for name in ("../new", "/new", "..", "a/b", "")),
        sent("new", {"1/model.onnx": outside}),
        sent("new", {"1/model.onnx": outside}, '{"backend": "openvino"}'),
        sent("new", {f"1/{number}.bin": b"x" for number in range(1000)}),
    ]  # fmt: skip
    before = sorted(root.parent.rglob("*"))
    with grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for request in bad:
            error = failure(lambda request=request: stub.RepositoryModelLoad(request))
            assert not INSIDE.search(error.details()), error.details()
            assert str(root) not in error.details()
    assert sorted(root.parent.rglob("*")) == before


def failing_calls(stubs, root, jpeg):
    """Calls that fail, in as many ways as there are."""
    inference, detect = stubs.inference, stubs.detection.Detect
    x = pb.ModelInferRequest(model_name="sound", raw_input_contents=[bytes(7)])
    x.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    for name in broken_models(root):
        yield lambda name=name: inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name))
        yield lambda name=name: inference.ModelInfer(pb.ModelInferRequest(model_name=name))
        yield lambda name=name: inference.ModelConfig(pb.ModelConfigRequest(name=name))
        yield lambda name=name: inference.ModelMetadata(pb.ModelMetadataRequest(name=name))
        yield lambda name=name: inference.ModelStatistics(pb.ModelStatisticsRequest(name=name))
        yield lambda name=name: detect(detection_pb2.DetectRequest(model_name=name, image={"encoded": jpeg}))
    for name in ("../sound", str(root), "..", "sound\0", ""):
        yield lambda name=name: inference.ModelInfer(pb.ModelInferRequest(model_name=name))
        yield lambda name=name: inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name))
    for key in ("a/b", "/../etc/passwd", "/none", "/"):
        yield lambda key=key: inference.SystemSharedMemoryRegister(
            pb.SystemSharedMemoryRegisterRequest(name="r", key=key, byte_size=8)
        )
    yield lambda: inference.ModelInfer(x)
    for image in (
        b"",
        b"\xff\xd8\xff",
        jpeg[:100],
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"BM" + bytes(60),
        b"RIFF\0\0\0\0WEBPVP8 ",
    ):
        yield lambda image=image: detect(detection_pb2.DetectRequest(model_name="eyes", image={"encoded": image}))
    yield lambda: inference.TraceSetting(pb.TraceSettingRequest(settings={"trace_level": {"value": ["TIMESTAMPS"]}}))
    yield lambda: inference.LogSettings(pb.LogSettingsRequest(settings={"log_file": {"string_param": "/tmp/x"}}))
    for config in ("{", '{"backend": "none"}', '{"max_batch_size": "x"}', '{"default_model_filename": "../x.onnx"}'):
        yield lambda config=config: inference.RepositoryModelLoad(sent("sound", {}, config))


def test_no_message_tells_a_path_or_a_traceback(hostile, stubs_for, jpeg):
    server, root = hostile
    stubs = stubs_for(server.address)
    messages = []
    for call in failing_calls(stubs, root, jpeg):
        try:
            call()
        except grpc.RpcError as error:
            messages.append(error.details() or "")
    messages += [model.reason for model in stubs.inference.RepositoryIndex(pb.RepositoryIndexRequest()).models]
    assert len(messages) > 150
    told = sorted({message for message in messages if INSIDE.search(without_echo(message, root))})
    assert told == []


def without_echo(message, root):
    """A message without the names that the client itself sent."""
    return re.sub(rf"'(?:{re.escape(str(root))}|/tmp/x)'", "''", message)


def test_the_server_is_well_afterwards(hostile):
    server, root = hostile
    with grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = pb.ModelInferRequest(model_name="sound", raw_input_contents=[bytes(8)])
        request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        assert np.frombuffer(stub.ModelInfer(request).raw_output_contents[0], np.float32).tolist() == [1.0, 1.0]
    assert Path(root, "sound").is_dir()
