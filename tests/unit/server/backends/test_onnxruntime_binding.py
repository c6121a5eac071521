"""Tensors bound to a device, on a device that is the CPU: what a GPU does with them is checked where there is one."""

import gc
import logging
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from pasarela_server.backends.base import ArtefactSpec, BackendOptions, PartsSession
from pasarela_server.backends.onnxruntime import OnnxRuntimeLoader, OnnxRuntimeSession
from pasarela_server.backends.onnxruntime_binding import BoundSession, bound_device, known_shape
from pasarela_server.backends.onnxruntime_bound_form import Device
from pasarela_server.backends.onnxruntime_recordings import Recordings
from pasarela_server.errors import BackendFailure, InvalidModel
from pasarela_server.tensor import Array, DataType, TensorSpec
from tests.unit.server.backends.onnxruntime_twin import Runtime

CPU = Device("cpu", 0)
VALUE, FLOAT, UINT8, INT64 = helper.make_tensor_value_info, TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64


def mixed() -> tuple[list, list, list, list]:
    """Three types in. Out: one shape known beforehand between two that the inputs tell, and one that the values do."""
    return (
        [
            helper.make_node("Cast", ["pixels"], ["values"], to=FLOAT),
            helper.make_node("Add", ["x", "values"], ["sum"]),
            helper.make_node("ReduceSum", ["x", "axis"], ["total"], keepdims=1),
            helper.make_node("Add", ["counts", "counts"], ["doubled"]),
            helper.make_node("ReduceMax", ["counts"], ["most"], axes=[1], keepdims=0),
            helper.make_node("Cast", ["most"], ["counted"], to=TensorProto.BOOL),
            helper.make_node("Compress", ["x", "counted"], ["found"], axis=0),
        ],
        [VALUE("x", FLOAT, ["b", "n"]), VALUE("pixels", UINT8, ["b", "n"]), VALUE("counts", INT64, ["b", "n"])],
        [
            VALUE("sum", FLOAT, ["b", "n"]),
            VALUE("total", FLOAT, ["b", 1]),
            VALUE("doubled", INT64, ["b", "n"]),
            VALUE("found", FLOAT, ["found", "n"]),
        ],
        [numpy_helper.from_array(np.array([1]), "axis")],
    )


def choosing() -> tuple[list, list, list, list]:
    """Answers with fewer rows than came, which its artefact does not say."""
    return (
        [
            helper.make_node("Greater", ["x", "zero"], ["above"]),
            helper.make_node("Compress", ["x", "above"], ["y"], axis=0),
        ],
        [VALUE("x", FLOAT, ["b"])],
        [VALUE("y", FLOAT, ["c"])],
        [numpy_helper.from_array(np.zeros(1, np.float32), "zero")],
    )


def picking() -> tuple[list, list, list, list]:
    """Takes rows of a table of three; other indices fail while it runs."""
    return (
        [helper.make_node("Gather", ["table", "index"], ["y"]), helper.make_node("Identity", ["index"], ["same"])],
        [VALUE("index", INT64, ["b"])],
        [VALUE("y", FLOAT, ["b", 2]), VALUE("same", INT64, ["b"])],
        [numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "table")],
    )


def fixed() -> tuple[list, list, list, list]:
    """No rows: nothing varies."""
    return (
        [helper.make_node("Mul", ["x", "x"], ["y"])],
        [VALUE("x", FLOAT, [2, 3])],
        [VALUE("y", FLOAT, [2, 3])],
        [],
    )


def scalar() -> tuple[list, list, list, list]:
    return [helper.make_node("Neg", ["x"], ["y"])], [VALUE("x", FLOAT, [])], [VALUE("y", FLOAT, [])], []


class Watched:
    """ONNX Runtime that notes what memory is taken; `fails` is raised by the next that takes any."""

    RunOptions = onnxruntime.RunOptions

    def __init__(self) -> None:
        self.taken = 0
        self.fails: list[Exception] = []
        self._values: list[weakref.ref[Any]] = []
        self.OrtValue = self

    def ortvalue_from_shape_and_type(self, *asked: Any) -> Any:
        if self.fails:
            raise self.fails.pop()
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(*asked)
        self.taken += 1
        self._values.append(weakref.ref(value))
        return value

    @property
    def held_bytes(self) -> int:
        values = (reference() for reference in self._values)
        return sum(value.tensor_size_in_bytes() for value in values if value is not None)


class Pair:
    """One model, called bound and plainly."""

    def __init__(self, graph: tuple[list, list, list, list], folder: Path, **limits: int) -> None:
        nodes, inputs, outputs, weights = graph
        path = folder / "model.onnx"
        made = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
        onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        backend = OnnxRuntimeLoader().load(path, BackendOptions(1, 1))
        plain = backend.session()
        assert isinstance(plain, OnnxRuntimeSession)
        self.plain = plain
        self.ort = Watched()
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        inference = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        self.runtime = Runtime(CPU.number)
        self.bound = BoundSession(
            self.ort, inference, backend.spec, CPU, self.runtime.memory, Recordings(), called="m/1", **limits
        )

    def agree(self, inputs: dict[str, Array]) -> dict[str, Array]:
        bound, plain = self.bound.infer(inputs), self.plain.infer(inputs)
        assert list(bound) == list(plain)
        for name, array in plain.items():
            assert bound[name].dtype == array.dtype
            assert bound[name].shape == array.shape
            assert bound[name].tobytes() == array.tobytes(), name
        return dict(bound)


def mixture(rows: int, columns: int, seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {
        "x": random.normal(size=(rows, columns)).astype(np.float32),
        "pixels": random.integers(0, 256, (rows, columns), np.uint8),
        "counts": random.integers(0, 3, (rows, columns)),
    }


@pytest.mark.parametrize(
    ("reason", "calls"),
    [
        ("one form, its values change", [(2, 3)] * 4),
        ("two forms in turn", [(2, 3), (1, 5), (2, 3), (1, 5)]),
        ("the same bytes in another shape", [(2, 3), (3, 2), (6, 1), (1, 6)]),
        ("more forms than are kept, and the first again", [(1, 1), (1, 2), (1, 3), (1, 4), (1, 1)]),
        ("no row", [(0, 3), (2, 3), (0, 3)]),
    ],
)
def test_the_answers_are_those_of_the_plain_call(tmp_path: Path, reason: str, calls: list[tuple[int, int]]) -> None:
    pair = Pair(mixed(), tmp_path, most_forms=3)
    for seed, (rows, columns) in enumerate(calls):
        pair.agree(mixture(rows, columns, seed))
        assert pair.bound.places_outputs, reason


@pytest.mark.parametrize(
    ("graph", "inputs"),
    [
        (fixed(), {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}),  # reason: no rows
        (scalar(), {"x": np.array(4, np.float32)}),  # reason: no dimension at all
        (picking(), {"index": np.array([2, 0, 1])}),  # reason: an input that is handed through
    ],
)
def test_other_shapes(tmp_path: Path, graph: tuple[list, list, list, list], inputs: dict[str, Array]) -> None:
    pair = Pair(graph, tmp_path)
    for _ in range(3):
        pair.agree(inputs)
    assert pair.bound.places_outputs


@pytest.fixture(scope="module")
def shared_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(mixed(), tmp_path_factory.mktemp("bound"), most_forms=2, most_bytes=400)


@given(
    calls=st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_comes_and_in_which_order(shared_pair: Pair, calls: list[tuple[int, int, int]]) -> None:
    answers = [shared_pair.agree(mixture(*call)) for call in calls]
    for call, answer in zip(calls, answers, strict=True):
        again = shared_pair.plain.infer(mixture(*call))
        assert all(answer[name].tobytes() == array.tobytes() for name, array in again.items())
    assert shared_pair.bound.places_outputs


def test_answers_belong_to_the_caller_and_inputs_stay_as_they_are(tmp_path: Path) -> None:
    pair = Pair(mixed(), tmp_path)
    inputs = mixture(2, 3, 0)
    for array in inputs.values():
        array.flags.writeable = False
    first = pair.agree(inputs)
    copies = {name: array.copy() for name, array in first.items()}
    for seed in range(1, 5):
        later = pair.agree(mixture(2, 3, seed))
        assert not any(np.may_share_memory(later[name], first[name]) for name in first)
    assert all(np.array_equal(first[name], copies[name]) for name in first)
    first["sum"][:] = 0
    pair.agree(inputs)


def test_parts_are_answered_as_one_batch(tmp_path: Path) -> None:
    pair = Pair(mixed(), tmp_path)
    assert isinstance(pair.bound, PartsSession)
    whole = mixture(5, 3, 0)
    parts = [{name: array[rows] for name, array in whole.items()} for rows in (slice(0, 2), slice(2, 5))]
    answer = pair.bound.infer_parts(parts)
    assert all(np.array_equal(answer[name], array) for name, array in pair.plain.infer(whole).items())


def test_a_form_that_is_kept_takes_no_memory_again(tmp_path: Path) -> None:
    pair = Pair(mixed(), tmp_path)
    pair.agree(mixture(2, 3, 0))
    assert pair.ort.taken == 4  # reason: three inputs, and the one output of known shape
    for seed in range(5):
        pair.agree(mixture(2, 3, seed))
    assert pair.ort.taken == 4


@pytest.mark.parametrize(
    ("reason", "limits", "bytes_of_rows"),
    [
        ("three forms, the largest 10 rows", {"most_forms": 3}, 3 * 10),
        ("as many forms as fit", {"most_bytes": 700}, 12),
        ("one alone, if it is larger than all may be", {"most_bytes": 1}, 10),
    ],
)
def test_memory_is_bounded(tmp_path: Path, reason: str, limits: dict[str, int], bytes_of_rows: int) -> None:
    pair = Pair(mixed(), tmp_path, **limits)
    row = 4 * (4 + 1 + 8) + 4  # reason: four columns of each input, one sum
    for rows in (*range(1, 11), *range(10, 0, -1), 3, 9, 1, 10):
        pair.agree(mixture(rows, 4, rows))
        assert pair.ort.held_bytes <= bytes_of_rows * row, reason


@pytest.mark.parametrize(
    ("reason", "inputs"),
    [
        ("an input is missing", {}),
        ("one too many", {"index": np.array([1]), "other": np.array([1])}),
        ("another name", {"other": np.array([1])}),
        ("another type", {"index": np.array([1.0])}),
        ("another type of as many bytes", {"index": np.array([1], np.uint64)}),
        ("another rank", {"index": np.array([[1]])}),
        ("objects", {"index": np.array([b"1"], object)}),
        ("it fails while it runs", {"index": np.array([7])}),
    ],
)
def test_what_is_wrong_is_said_as_by_the_plain_call_and_nothing_is_left(
    tmp_path: Path, reason: str, inputs: dict[str, Array]
) -> None:
    pair = Pair(picking(), tmp_path)
    pair.agree({"index": np.array([1])})
    with pytest.raises(BackendFailure) as plain:
        pair.plain.infer_parts([inputs])
    with pytest.raises(BackendFailure) as bound:
        pair.bound.infer_parts([inputs])
    assert str(bound.value) == str(plain.value), reason
    assert type(bound.value) is type(plain.value)
    pair.agree({"index": np.array([2])})
    pair.agree({"index": np.array([0, 1])})
    assert pair.bound.places_outputs


def test_what_failed_is_bound_anew_for_nobody_knows_its_state(tmp_path: Path) -> None:
    pair = Pair(picking(), tmp_path)
    pair.agree({"index": np.array([1])})
    with pytest.raises(BackendFailure):
        pair.bound.infer({"index": np.array([7])})
    assert pair.ort.held_bytes == 0
    pair.agree({"index": np.array([2])})
    assert pair.ort.taken == 2 * 3


def test_what_only_fails_bound_is_answered_and_outputs_have_no_place_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Pair(choosing(), tmp_path)
    pair.agree({"x": np.array([1, 2, 3], np.float32)})
    assert pair.bound.places_outputs
    with caplog.at_level(logging.WARNING):
        pair.agree({"x": np.array([1, -2, 3], np.float32)})
    assert "m/1: from now on outputs are left where they come to lie" in caplog.text
    assert pair.ort.held_bytes == 0
    caplog.clear()
    for values in ([-1, -2, 3], [-1, -2, -3], [1, 2, 3], [1, 2]):
        pair.agree({"x": np.array(values, np.float32)})
    assert (pair.bound.places_outputs, pair.bound.binds) == (False, True)
    assert not caplog.records


def test_a_copy_that_fails_is_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair(mixed(), tmp_path)
    pair.agree(mixture(2, 3, 0))
    assert pair.bound.places_outputs
    pair.runtime.fails = True
    pair.agree(mixture(2, 3, 1))
    assert not pair.bound.places_outputs
    assert "error 700" in caplog.text


def test_each_tensor_is_copied_once(tmp_path: Path) -> None:
    pair = Pair(mixed(), tmp_path)
    for _ in range(2):
        before = pair.runtime.copies
        pair.agree(mixture(2, 3, 1))
        assert pair.runtime.copies == before + 3 + 4  # reason: inputs and outputs


def test_what_fails_bound_again_is_not_bound_any_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair(mixed(), tmp_path)
    for binds in (True, False):
        pair.ort.fails.append(RuntimeError("no such device"))
        with caplog.at_level(logging.WARNING):
            pair.agree(mixture(2, 3, 0))
        assert pair.bound.binds is binds
    assert "m/1: from now on nothing is bound, for it failed: no such device" in caplog.text
    taken = pair.ort.taken
    pair.agree(mixture(3, 3, 0))
    assert pair.ort.taken == taken


def test_memory_that_is_short_is_given_back_and_asked_for_again(tmp_path: Path) -> None:
    pair = Pair(mixed(), tmp_path)
    pair.agree(mixture(2, 3, 0))
    pair.ort.fails.append(RuntimeError("Failed to allocate memory for requested buffer of size 4096"))
    pair.agree(mixture(4, 3, 0))
    assert pair.ort.held_bytes == 0
    pair.agree(mixture(4, 3, 1))
    assert pair.ort.held_bytes > 0
    assert pair.bound.places_outputs


def test_what_is_closed_keeps_nothing(tmp_path: Path) -> None:
    pair = Pair(mixed(), tmp_path)
    pair.agree(mixture(2, 3, 0))
    pair.bound.close()
    gc.collect()
    assert pair.ort.held_bytes == 0
    with pytest.raises(BackendFailure):
        pair.bound.infer(mixture(2, 3, 0))


def spec_of(datatype: DataType) -> ArtefactSpec:
    tensors = (TensorSpec("x", DataType.FP32, (-1, 4)), TensorSpec("text", datatype, (-1, 1)))
    return ArtefactSpec(inputs=tensors[:1], outputs=tensors[1:], batched=True)


def asked(device: str | None = None, binding: str | None = None, *, graphs: bool = False) -> BackendOptions:
    parameters = {"device": device, "io_binding": binding}
    return BackendOptions(
        1,
        1,
        {name: text for name, text in parameters.items() if text is not None},
        accelerators={"cuda": {"enable_cuda_graph": "1"}} if graphs else {},
    )


@pytest.mark.parametrize(
    ("reason", "options", "datatype", "device"),
    [
        ("on a CPU there is nothing to gain", asked(), DataType.FP32, None),
        ("nor if it is said", asked("cpu"), DataType.FP32, None),
        ("a GPU", asked("gpu"), DataType.FP32, Device("cuda", 0)),
        ("that GPU", asked("cuda:3"), DataType.INT64, Device("cuda", 3)),
        ("the configuration says no", asked("gpu", "false"), DataType.FP32, None),
        ("it says yes, and so does the rule", asked("gpu", "true"), DataType.FP32, Device("cuda", 0)),
        ("it says yes, and there is no GPU", asked("cpu", "true"), DataType.FP32, None),
        ("elements of any length lie on the host", asked("gpu"), DataType.BYTES, None),
        ("graphs", asked("gpu", graphs=True), DataType.FP32, Device("cuda", 0)),
    ],
)
def test_who_is_bound(reason: str, options: BackendOptions, datatype: DataType, device: Device | None) -> None:
    assert bound_device(options, spec_of(datatype)) == device, reason


@pytest.mark.parametrize(
    ("options", "datatype", "says"),
    [
        (asked("gpu", "maybe"), DataType.FP32, "'io_binding' is 'maybe'; expected true or false"),
        (asked("gpu", "false", graphs=True), DataType.FP32, "and parameter 'io_binding' is false"),
        (asked("gpu", graphs=True), DataType.BYTES, "and 'text' is BYTES"),
    ],
)
def test_what_cannot_be_bound_is_refused(options: BackendOptions, datatype: DataType, says: str) -> None:
    with pytest.raises(InvalidModel, match=says):
        bound_device(options, spec_of(datatype))


@pytest.mark.parametrize(
    ("shape", "rows", "known"),
    [
        ((-1, 84, 8400), 2, (2, 84, 8400)),  # reason: the rows of the batch
        ((-1, 84, -1), 2, None),  # reason: the sizes of the images count, too
        ((3, 4), None, (3, 4)),  # reason: nothing varies
        ((-1, 4), None, None),  # reason: what varies are no rows of a batch
        ((), None, ()),  # reason: one number
    ],
)
def test_which_shapes_are_known_beforehand(
    shape: tuple[int, ...], rows: int | None, known: tuple[int, ...] | None
) -> None:
    assert known_shape(TensorSpec("y", DataType.FP32, shape), rows) == known
