"""A real YOLOv9 whose sides vary, asked for images that it cannot take: refused at the door, whatever the framework.

Without that, an image of 1x1 divides by zero inside ONNX Runtime, which ends the process: the last test shows it, with
a model that does not say what it takes, in a process of its own.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import grpc
import numpy as np
import onnx
import pytest

from pasarela_proto import inference_pb2, inference_pb2_grpc
from tests.conftest import StartServer
from tests.parity.ultralytics_exports import SIDE, Export, checkpoint, export

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # exporters warn of each other
    pytest.mark.timeout(400),  # the first test exports everything
]
MODELS = ("onnxruntime", "openvino", "pytorch")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network for each backend; `silent` does not say what it takes, `cold` is to be warmed up with a pixel."""
    folder = tmp_path_factory.mktemp("smallest")
    picture = cv2.imread(str(Path(__file__).parents[1] / "data" / "sample.jpg"))[:, :, ::-1]
    weights = checkpoint("v9", folder, np.ascontiguousarray(picture))
    root = folder / "repository"
    made = export(Export("v9", "onnx", {"dynamic": True, "simplify": False}), weights, root / "onnxruntime" / "1")
    export(Export("v9", "torchscript", {"dynamic": True}), weights, root / "pytorch" / "1")
    network = onnx.load(made)
    told = {entry.key: entry.value for entry in network.metadata_props}
    assert told["stride"] == "32"
    del network.metadata_props[:]
    for name in ("openvino", "silent", "cold"):
        (root / name / "1").mkdir(parents=True)
    onnx.save(network, root / "silent" / "1" / "model.onnx")
    onnx.save(network, root / "openvino" / "1" / "model.onnx")
    written = "\n".join(f"{key}: {value}" for key, value in told.items() if key in ("task", "stride", "imgsz", "names"))
    (root / "openvino" / "1" / "metadata.yaml").write_text(f"{written}\nbatch: 1\nchannels: 3\n")
    (root / "openvino" / "config.pbtxt").write_text('backend: "openvino"\ndefault_model_filename: "model.onnx"\n')
    (root / "silent" / "config.pbtxt").write_text(
        'max_batch_size: 4\nparameters { key: "isolation" value { string_value: "process" } }\n'
    )
    shutil.copy(made, root / "cold" / "1" / "model.onnx")
    (root / "cold" / "config.pbtxt").write_text(
        'max_batch_size: 1\nmodel_warmup { name: "a pixel" batch_size: 1 inputs { key: "images" value {'
        " data_type: TYPE_FP32 dims: [3, 1, 1] zero_data: true } } }\n"
    )
    return root


@pytest.fixture(scope="module")
def stub(repository: Path, start_server: StartServer) -> Iterator[inference_pb2_grpc.GRPCInferenceServiceStub]:
    with (
        start_server(repository, "--strict-readiness", "false") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert server.process.poll() is None


def infer(stub: inference_pb2_grpc.GRPCInferenceServiceStub, model: str, *shape: int) -> tuple[int, ...]:
    """The shape of the answer."""
    name = "images"
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name=name, datatype="FP32", shape=shape)
    content = np.zeros(shape, np.float32).tobytes()
    request = inference_pb2.ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[content])
    return tuple(stub.ModelInfer(request, timeout=60).outputs[0].shape)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("shape", "says"),
    [
        pytest.param((1, 3, 1, 1), "height must be a positive multiple of 32, got 1", id="a pixel"),
        pytest.param((1, 3, 16, 16), "height must be a positive multiple of 32, got 16", id="half a stride"),
        pytest.param((1, 3, 32, 1), "width must be a positive multiple of 32, got 1", id="a column"),
        pytest.param((1, 3, 31, 32), "height must be a positive multiple of 32, got 31", id="a pixel less"),
        pytest.param((1, 3, 64, 33), "width must be a positive multiple of 32, got 33", id="a pixel more"),
        pytest.param((2, 3, 1, 1), "height must be a positive multiple of 32, got 1", id="two pixels, a batch"),
        pytest.param((1, 3, 0, 32), "every size must be at least 1", id="nothing"),
    ],
)
def test_what_it_cannot_take_is_refused(stub, model, shape, says):
    with pytest.raises(grpc.RpcError) as error:
        infer(stub, model, *shape)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT, error.value.details()
    assert f"model '{model}'" in error.value.details()
    assert "'images'" in error.value.details()
    assert says in error.value.details()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sides", [(32, 32), (32, 96), (SIDE, SIDE)], ids=["the smallest", "a strip", "as exported"])
def test_what_it_can_take_is_answered(stub, model, sides):
    height, width = sides
    anchors = sum(height // stride * (width // stride) for stride in (8, 16, 32))
    assert infer(stub, model, 1, 3, *sides) == (1, 9, anchors)


def test_a_warm_up_that_it_cannot_take_is_the_models_fault_and_ends_nothing(stub):
    index = stub.RepositoryIndex(inference_pb2.RepositoryIndexRequest()).models
    (cold,) = (model for model in index if model.name == "cold")
    assert cold.state == "UNAVAILABLE"
    assert "cannot be warmed up: input 'images': height must be a positive multiple of 32, got 1" in cold.reason


def test_a_model_that_does_not_say_what_it_takes_ends_its_own_process_only(stub):
    assert infer(stub, "silent", 1, 3, 32, 32) == (1, 9, 21)
    with pytest.raises(grpc.RpcError) as error:
        infer(stub, "silent", 1, 3, 1, 1)
    assert error.value.code() is grpc.StatusCode.INTERNAL
    assert "SIGFPE" in error.value.details()
    assert infer(stub, "onnxruntime", 1, 3, 32, 32) == (1, 9, 21)
    for _ in range(600):
        if stub.ModelReady(inference_pb2.ModelReadyRequest(name="silent")).ready:
            break
        time.sleep(0.1)
    assert infer(stub, "silent", 1, 3, 32, 32) == (1, 9, 21)
