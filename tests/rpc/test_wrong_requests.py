"""The table of wrong requests: each gets its status code and a message that says what was expected and what came."""

import os
import shutil
import struct
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import grpc
import numpy as np
import onnx
import pytest
from google.protobuf.message import Message
from onnx import TensorProto, helper

from pasarela_proto import inference_pb2 as pb
from pasarela_proto import inference_pb2_grpc

MOST_BYTES = 4_000_000
"""Of one message, to this server."""


@dataclass(frozen=True)
class Wrong:
    """One row of the table."""

    what: str
    request: Message
    """Its type tells the method; an inference is tried on ModelInfer and on ModelStreamInfer."""
    code: str
    words: tuple[str, ...]
    """The message holds them all."""

    @property
    def method(self) -> str:
        """The method that takes the request."""
        return type(self.request).__name__.removesuffix("Request")


def tensor(name="INPUT0", datatype="FP32", shape=(2, 3), **rest):
    return {"name": name, "datatype": datatype, "shape": shape, **rest}


def infer(**changes):
    """An inference on `identity` that is right but for the changes."""
    right = {
        "model_name": "identity",
        "inputs": [tensor()],
        "raw_input_contents": [np.zeros((2, 3), np.float32).tobytes()],
    }
    return pb.ModelInferRequest(**(right | changes))


def typed(datatype="FP32", **contents):
    """The same with its data in typed contents."""
    return infer(inputs=[tensor(datatype=datatype, contents=contents)], raw_input_contents=[])


def pair(first, second):
    """An inference on `pair`, whose two inputs have these numbers of rows."""
    return infer(
        model_name="pair",
        inputs=[tensor("FIRST", shape=(first, 2)), tensor("SECOND", shape=(second, 2))],
        raw_input_contents=[bytes(8 * first), bytes(8 * second)],
    )


def image(*elements, **changes):
    """An inference on `detector` with encoded images."""
    raw = b"".join(struct.pack("<I", len(element)) + element for element in elements)
    shape = (len(elements),)
    return infer(
        **(
            {"model_name": "detector", "inputs": [tensor("image", "BYTES", shape)], "raw_input_contents": [raw]}
            | changes
        )
    )


def parameter(name, **value):
    return infer(parameters={name: value})


def load(name, repository_name="", **parameters):
    return pb.RepositoryModelLoadRequest(model_name=name, repository_name=repository_name, parameters=parameters)


def region(name, key=None, byte_size=64):
    return pb.SystemSharedMemoryRegisterRequest(name=name, key=key or OBJECT, byte_size=byte_size)


def shared(name, byte_size=24):
    """An inference on `identity` whose input lies in a region."""
    parameters = {"shared_memory_region": {"string_param": name}}
    if byte_size is not None:
        parameters["shared_memory_byte_size"] = {"int64_param": byte_size}
    return infer(inputs=[tensor(parameters=parameters)], raw_input_contents=[])


OBJECT = f"/pasarela-wrong-requests-{os.getpid()}"
"""The object behind the region `taken`; 64 bytes."""

NO_VERSION_TEXTS = ("0", "-1", "01", "1.0", " 1", "9" * 30, "One", "\u0661")
INVALID, MISSING, AWAY, OFF = "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE", "UNIMPLEMENTED"

WRONG = (
    # Models and versions
    *(
        Wrong(f"version {text!r}, no positive integer", infer(model_version=text), INVALID, ("identity", "positive integer", text[:9]))
        for text in NO_VERSION_TEXTS
    ),
    Wrong("version by a label that the model has not", infer(model_version="canary"), INVALID, ("identity", "labels", "'canary'")),
    Wrong("unknown model", infer(model_name="trousers"), MISSING, ("'trousers'", "identity")),
    Wrong("no model", infer(model_name=""), MISSING, ("''", "identity")),
    Wrong("unknown version", infer(model_version="77"), MISSING, ("'identity'", "version 77", "it has 1")),
    Wrong("no version ready", infer(model_name="broken"), MISSING, ("'broken'", "no version that is ready", "model.onnx")),
    Wrong("version that could not be loaded", infer(model_name="broken", model_version="1"), AWAY, ("'broken'", "version 1", "model.onnx")),
    Wrong("model that was unloaded", infer(model_name="away"), MISSING, ("'away'", "unloaded")),
    Wrong("version that was unloaded", infer(model_name="away", model_version="1"), AWAY, ("'away'", "version 1", "unloaded")),
    Wrong("model that was never loaded", infer(model_name="idle"), MISSING, ("'idle'", "not loaded")),
    # Shapes
    Wrong("too few dimensions: no batch dimension", infer(inputs=[tensor(shape=(6,))]), INVALID, ("'identity'", "'INPUT0'", "[-1, -1]", "[6]")),
    Wrong("too many dimensions", infer(inputs=[tensor(shape=(1, 2, 3))]), INVALID, ("'INPUT0'", "[-1, -1]", "[1, 2, 3]")),
    Wrong("a size that the model has not", infer(model_name="pair", inputs=[tensor("FIRST", shape=(1, 3)), tensor("SECOND", shape=(1, 2))], raw_input_contents=[bytes(12), bytes(8)]), INVALID, ("'pair'", "'FIRST'", "[-1, 2]", "[1, 3]")),
    Wrong("-1 in a shape", infer(inputs=[tensor(shape=(-1, 3))]), INVALID, ("'identity'", "'INPUT0'", "not negative", "[-1, 3]")),
    Wrong("no rows", infer(inputs=[tensor(shape=(0, 3))], raw_input_contents=[b""]), INVALID, ("'INPUT0'", "[0, 3]", "at least 1")),
    Wrong("batch above the maximum", infer(inputs=[tensor(shape=(9, 1))], raw_input_contents=[bytes(36)]), INVALID, ("'identity'", "at most 8", "got 9")),
    Wrong("batches that disagree", pair(1, 2), INVALID, ("'pair'", "1 for 'FIRST'", "2 for 'SECOND'")),
    Wrong("more elements than any message holds", infer(inputs=[tensor(shape=(2**40, 2**20))]), INVALID, ("'INPUT0'", "elements", "[1099511627776, 1048576]")),
    Wrong("more dimensions than any array has", infer(inputs=[tensor(shape=(1,) * 40)]), INVALID, ("'INPUT0'", "at most 32", "got 40")),
    # Datatypes
    Wrong("wrong datatype", infer(inputs=[tensor(datatype="INT32")]), INVALID, ("'identity'", "'INPUT0'", "FP32", "INT32")),
    Wrong("unknown datatype", infer(inputs=[tensor(datatype="FLOAT")]), INVALID, ("'identity'", "'INPUT0'", "FP32", "'FLOAT'")),
    Wrong("no datatype", infer(inputs=[tensor(datatype="")]), INVALID, ("'identity'", "'INPUT0'", "FP32", "''")),
    # Names
    Wrong("missing input", infer(model_name="pair", inputs=[tensor("FIRST", shape=(1, 2))], raw_input_contents=[bytes(8)]), INVALID, ("'pair'", "'SECOND'", "missing")),
    Wrong("no input at all", infer(inputs=[], raw_input_contents=[]), INVALID, ("'identity'", "'INPUT0'", "missing")),
    Wrong("unknown input", infer(inputs=[tensor("INPUT1")]), INVALID, ("'identity'", "'INPUT1'", "'INPUT0'")),
    Wrong("an input twice", infer(inputs=[tensor(), tensor()], raw_input_contents=[bytes(24), bytes(24)]), INVALID, ("'identity'", "'INPUT0'", "got 2 times")),
    Wrong("unknown output", infer(outputs=[{"name": "OUTPUT1"}]), INVALID, ("'identity'", "'OUTPUT1'", "'OUTPUT0'")),
    # Contents
    Wrong("raw contents too short", infer(raw_input_contents=[bytes(23)]), INVALID, ("'identity'", "'INPUT0'", "expected 24 bytes", "got 23")),
    Wrong("raw contents too long", infer(raw_input_contents=[bytes(25)]), INVALID, ("'identity'", "'INPUT0'", "expected 24 bytes", "got 25")),
    Wrong("no data", infer(raw_input_contents=[]), INVALID, ("'identity'", "'INPUT0'", "[2, 3]", "no data")),
    Wrong("typed and raw contents", infer(inputs=[tensor(contents={"fp32_contents": [0] * 6})]), INVALID, ("'identity'", "'INPUT0'", "got both")),
    Wrong("fewer raw contents than inputs", infer(model_name="pair", inputs=[tensor("FIRST", shape=(1, 2)), tensor("SECOND", shape=(1, 2))], raw_input_contents=[bytes(8)]), INVALID, ("'pair'", "2 inputs", "got 1")),
    Wrong("more raw contents than inputs", infer(raw_input_contents=[bytes(24), bytes(24)]), INVALID, ("'identity'", "1 inputs", "got 2")),
    Wrong("data in the wrong typed list", typed(int_contents=[0] * 6), INVALID, ("'INPUT0'", "fp32_contents", "int_contents")),
    Wrong("data in two typed lists", typed(fp32_contents=[0] * 6, fp64_contents=[0]), INVALID, ("'INPUT0'", "fp32_contents", "fp64_contents")),
    Wrong("typed contents too short", typed(fp32_contents=[0] * 5), INVALID, ("'INPUT0'", "expected 6", "got 5")),
    Wrong("typed contents too long", typed(fp32_contents=[0] * 7), INVALID, ("'INPUT0'", "expected 6", "got 7")),
    Wrong("FP16 in typed contents, which have no list for it", typed("FP16", fp32_contents=[0] * 6), INVALID, ("'INPUT0'", "FP16", "raw_input_contents")),
    Wrong("BF16 in typed contents, which have no list for it", typed("BF16", fp32_contents=[0] * 6), INVALID, ("'INPUT0'", "BF16", "raw_input_contents")),
    Wrong("a number beyond its type", typed("INT8", int_contents=[0, 0, 0, 0, 0, 300]), INVALID, ("'INPUT0'", "INT8", "-128 and 127", "300")),
    Wrong("BOOL other than 0 and 1", infer(inputs=[tensor(datatype="BOOL")], raw_input_contents=[b"\0\1\0\1\0\2"]), INVALID, ("'INPUT0'", "0 or 1")),
    Wrong("BYTES cut short", image(b"x", raw_input_contents=[b"\5\0\0\0abc"]), INVALID, ("'detector'", "'image'", "5 bytes", "only 3")),
    Wrong("BYTES with bytes left over", image(b"x", raw_input_contents=[b"\1\0\0\0abc"]), INVALID, ("'detector'", "'image'", "2 bytes more")),
    Wrong("BYTES shorter than their lengths", image(b"x", raw_input_contents=[b"\1\0"]), INVALID, ("'detector'", "'image'", "got 2 bytes")),
    Wrong("an image that is none", image(b"hello, world"), INVALID, ("'detector'", "JPEG")),
    Wrong("more bytes than the server takes", infer(inputs=[tensor(shape=(1, MOST_BYTES // 4))], raw_input_contents=[bytes(MOST_BYTES)]), "RESOURCE_EXHAUSTED", ("larger than max", str(MOST_BYTES))),
    # Parameters
    Wrong("timeout as a string", parameter("timeout", string_param="1"), INVALID, ("'identity'", "'timeout'", "int64", "a string")),
    Wrong("timeout below zero", parameter("timeout", int64_param=-1), INVALID, ("'timeout'", "not negative", "-1")),
    Wrong("priority as a double", parameter("priority", double_param=1), INVALID, ("'priority'", "uint64", "a double")),
    Wrong("sequence_start as an int64", parameter("sequence_start", int64_param=1), INVALID, ("'sequence_start'", "a bool", "an int64")),
    Wrong("sequence_id as a bool", parameter("sequence_id", bool_param=True), INVALID, ("'sequence_id'", "a bool")),
    Wrong("triton_enable_empty_final_response as a string", parameter("triton_enable_empty_final_response", string_param="x"), INVALID, ("triton_enable_empty_final_response", "a bool", "a string")),
    Wrong("a name that is reserved", parameter("triton_secret", bool_param=True), INVALID, ("'triton_secret'", "reserved")),
    Wrong("a parameter without value", parameter("timeout"), INVALID, ("'timeout'", "no value")),
    Wrong("confidence that is no number", image(b"x", parameters={"confidence": {"string_param": "high"}}), INVALID, ("'detector'", "'confidence'", "'high'")),
    Wrong("confidence above 1", image(b"x", parameters={"confidence": {"double_param": 1.5}}), INVALID, ("'detector'", "confidence", "1.5")),
    Wrong("a timeout that has passed in the queue", parameter("timeout", int64_param=1), "DEADLINE_EXCEEDED", ("'identity'", "deadline")),
    # The other methods that name a model
    Wrong("readiness of version '0'", pb.ModelReadyRequest(name="identity", version="0"), INVALID, ("identity", "'0'")),
    *(
        row
        for ask, what in ((pb.ModelMetadataRequest, "metadata"), (pb.ModelConfigRequest, "configuration"))
        for row in (
            Wrong(f"{what} of an unknown model", ask(name="trousers"), MISSING, ("'trousers'", "identity")),
            Wrong(f"{what} of an unknown version", ask(name="identity", version="77"), MISSING, ("'identity'", "version 77")),
            Wrong(f"{what} of version '0'", ask(name="identity", version="0"), INVALID, ("identity", "positive integer", "'0'")),
            Wrong(f"{what} of a model without a ready version", ask(name="broken"), MISSING, ("'broken'", "model.onnx")),
            Wrong(f"{what} of a version that could not be loaded", ask(name="broken", version="1"), AWAY, ("'broken'", "model.onnx")),
        )
    ),
    Wrong("statistics of an unknown model", pb.ModelStatisticsRequest(name="trousers"), INVALID, ("'trousers'", "ready")),
    Wrong("statistics of an unknown version", pb.ModelStatisticsRequest(name="identity", version="77"), INVALID, ("'identity'", "version 77", "ready are 1")),
    Wrong("statistics of a model without a ready version", pb.ModelStatisticsRequest(name="broken"), INVALID, ("'broken'", "ready")),
    Wrong("statistics of version '0'", pb.ModelStatisticsRequest(name="identity", version="0"), INVALID, ("identity", "positive integer", "'0'")),
    # Settings
    Wrong("trace settings of an unknown model", pb.TraceSettingRequest(model_name="trousers"), INVALID, ("'trousers'",)),
    Wrong("an unknown trace setting", pb.TraceSettingRequest(settings={"trace_colour": {"value": ["1"]}}), INVALID, ("'trace_colour'", "trace_rate")),
    Wrong("a trace rate of 0", pb.TraceSettingRequest(settings={"trace_rate": {"value": ["0"]}}), INVALID, ("'trace_rate'", "from 1", "'0'")),
    Wrong("a trace file chosen by a client", pb.TraceSettingRequest(settings={"trace_file": {"value": ["/tmp/x"]}}), "UNIMPLEMENTED", ("'trace_file'", "--trace-file")),
    Wrong("tracing without a file", pb.TraceSettingRequest(settings={"trace_level": {"value": ["TIMESTAMPS"]}}), "UNIMPLEMENTED", ("'trace_level'", "--trace-file")),
    Wrong("an unknown log setting", pb.LogSettingsRequest(settings={"log_colour": {"bool_param": True}}), INVALID, ("'log_colour'", "log_info")),
    Wrong("a log setting of another type", pb.LogSettingsRequest(settings={"log_info": {"string_param": "yes"}}), INVALID, ("'log_info'", "a bool")),
    Wrong("a log file chosen by a client", pb.LogSettingsRequest(settings={"log_file": {"string_param": "/tmp/x"}}), "UNIMPLEMENTED", ("'log_file'",)),
    # The repository
    Wrong("index of a repository by name", pb.RepositoryIndexRequest(repository_name="main"), OFF, ("'main'", "leave repository_name empty")),
    Wrong("load from a repository by name", load("pair", repository_name="main"), OFF, ("'main'", "leave repository_name empty")),
    Wrong("load of a model that is not there", load("trousers"), INVALID, ("'trousers'", "identity")),
    Wrong("load of a broken model", load("broken"), "INTERNAL", ("'broken'", "version 1", "model.onnx cannot be loaded")),
    Wrong("load with an unknown parameter", load("pair", force={"bool_param": True}), INVALID, ("'pair'", "'force'", "config, file:<path>")),
    Wrong("load with a configuration that is no string", load("pair", config={"bool_param": True}), INVALID, ("'config'", "a string", "got bool")),
    Wrong("load with a configuration that is no JSON", load("pair", config={"string_param": "{nope"}), INVALID, ("'pair'", "'config'", "JSON", "line 1")),
    Wrong("load with a configuration that has an unknown field", load("pair", config={"string_param": '{"max_batch": 2}'}), INVALID, ("'pair'", "max_batch")),
    Wrong("load with a configuration that does not fit the file", load("pair", config={"string_param": '{"input": [{"name": "x"}]}'}), "INTERNAL", ("'pair'", "'x' is not in the model file")),
    Wrong("load with files and no configuration", load("pair", **{"file:1/model.onnx": {"bytes_param": b"x"}}), INVALID, ("'pair'", "'config'")),
    Wrong("load with a file outside", load("pair", config={"string_param": "{}"}, **{"file:../x": {"bytes_param": b"x"}}), INVALID, ("'pair'", "'../x'", "1/model.onnx")),
    Wrong("unload with an unknown parameter", pb.RepositoryModelUnloadRequest(model_name="pair", parameters={"force": {"bool_param": True}}), INVALID, ("'pair'", "'force'", "unload_dependents")),
    Wrong("unload with a parameter that is no bool", pb.RepositoryModelUnloadRequest(model_name="pair", parameters={"unload_dependents": {"string_param": "yes"}}), INVALID, ("'unload_dependents'", "a bool", "got string")),
    # Shared memory
    Wrong("a region that is registered already", region("taken"), "ALREADY_EXISTS", ("'taken'", "already registered")),
    Wrong("a region whose object is not there", region("new", key="/pasarela-no-such-object"), "INTERNAL", ("'new'", "'/pasarela-no-such-object'", "No such file")),
    Wrong("a region without a name", region(""), INVALID, ("name", "empty")),
    Wrong("a region whose key is a path", region("new", key="/../etc/passwd"), INVALID, ("'new'", "slash", "/../etc")),
    Wrong("a region without bytes", region("new", byte_size=0), INVALID, ("'new'", "at least one byte")),
    Wrong("a region beyond its object", region("new", byte_size=2**40), INVALID, ("'new'", "64 bytes", str(2**40))),
    Wrong("status of a region that is not registered", pb.SystemSharedMemoryStatusRequest(name="none"), MISSING, ("'none'",)),
    Wrong("an input in a region that is not registered", shared("none"), MISSING, ("'identity'", "'INPUT0'", "'none'")),
    Wrong("an input beyond its region", shared("taken", byte_size=65), INVALID, ("'INPUT0'", "64 bytes", "65 bytes")),
    Wrong("an input in a region of another length", shared("taken", byte_size=8), INVALID, ("'INPUT0'", "24 bytes", "got 8")),
    Wrong("an input in a region without its length", shared("taken", byte_size=None), INVALID, ("'INPUT0'", "shared_memory_byte_size")),
)  # fmt: skip


def onnx_model(inputs, output):
    """Adds its inputs up, or hands its only one on."""
    node = helper.make_node("Sum", list(inputs), [output])
    shapes = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()}
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, next(iter(inputs.values())))
    graph = helper.make_graph([node], "g", list(shapes.values()), [result])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture(scope="module")
def odd_repository(repository, tmp_path_factory):
    """Small models, and some that cannot answer."""
    root = tmp_path_factory.mktemp("odd")
    identity = onnx_model({"INPUT0": ["n", "k"]}, "OUTPUT0")
    models = {"identity": identity, "away": identity, "idle": identity}
    models["pair"] = onnx_model({"FIRST": ["n", 2], "SECOND": ["n", 2]}, "SUM")
    for name, model in models.items():
        (root / name / "1").mkdir(parents=True)
        onnx.save(model, root / name / "1" / "model.onnx")
        (root / name / "config.pbtxt").write_text("max_batch_size: 8")
    (root / "broken" / "1").mkdir(parents=True)
    (root / "broken" / "1" / "model.onnx").write_bytes(b"no model")
    shutil.copytree(repository / "garments_onnx" / "1", root / "raw" / "1")
    (root / "detector").mkdir()
    (root / "detector" / "config.pbtxt").write_text(
        'backend: "detection"\nparameters { key: "model" value { string_value: "raw" } }\n'
    )
    return root


@pytest.fixture(scope="module", params=["0", "2"], ids=["one process", "two fronts"])
def odd_server(odd_repository, start_server, request):
    """A server that has all but one of them, and has unloaded one."""
    loaded = ("identity", "pair", "away", "broken", "raw", "detector")
    flags = [text for name in loaded for text in ("--load-model", name)]
    flags += ["--frontends", request.param]
    with start_server(
        odd_repository, "--model-control-mode", "explicit", "--grpc-max-message-bytes", str(MOST_BYTES), *flags
    ) as running:
        yield running


@pytest.fixture(scope="module")
def memory():
    """The object behind the region `taken`."""
    item = SharedMemory(OBJECT.removeprefix("/"), create=True, size=64)
    yield item
    item.close()
    item.unlink()


@pytest.fixture(scope="module")
def odd(odd_server, memory):
    """A stub that calls it."""
    with grpc.insecure_channel(odd_server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.SystemSharedMemoryRegister(region("taken"))
        stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="away"))
        yield stub


def refusal(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize("row", WRONG, ids=lambda row: row.what)
def test_a_wrong_request_gets_its_code_and_a_message_that_helps(odd, row):
    code, details = refusal(lambda: getattr(odd, row.method)(row.request))

    assert (code, [word for word in row.words if word not in details]) == (row.code, []), details


@pytest.mark.parametrize("row", [row for row in WRONG if row.method == "ModelInfer"], ids=lambda row: row.what)
def test_a_stream_that_asks_for_statuses_gets_the_same(odd, row):
    metadata = (("triton_grpc_error", "true"),)
    code, details = refusal(lambda: list(odd.ModelStreamInfer(iter([row.request]), metadata=metadata)))

    assert (code, [word for word in row.words if word not in details]) == (row.code, []), details


def test_a_stream_is_told_of_all_of_them_and_goes_on(odd):
    rows = [row for row in WRONG if row.method == "ModelInfer" and row.code != "RESOURCE_EXHAUSTED"]
    replies = list(odd.ModelStreamInfer(iter([*(row.request for row in rows), infer(id="right")])))

    silent = [
        row.what
        for row, reply in zip(rows, replies[:-1], strict=True)
        if not all(word in reply.error_message for word in row.words)
    ]
    assert not silent
    assert (replies[-1].error_message, replies[-1].infer_response.id) == ("", "right")


def test_nothing_of_the_server_is_told(odd, odd_repository):
    for row in WRONG:
        _, details = refusal(lambda row=row: getattr(odd, row.method)(row.request))
        assert str(odd_repository) not in details, row.what
        assert "Traceback" not in details, row.what


def test_the_server_is_well_after_all_that(odd, odd_server):
    assert odd.ServerLive(pb.ServerLiveRequest()).live
    assert odd.ModelInfer(infer()).model_version == "1"
    assert "Traceback" not in odd_server.log.read_text()


def test_every_row_has_a_name_of_its_own():
    names = [row.what for row in WRONG]
    assert len(set(names)) == len(names)
