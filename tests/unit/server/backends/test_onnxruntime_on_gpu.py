"""ONNX Runtime on a GPU, as far as it can be seen without one: what is bound, what is recorded, what is played."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.onnxruntime import OnnxRuntimeBackend, OnnxRuntimeSession
from pasarela_server.backends.onnxruntime_binding import BoundSession, alike
from pasarela_server.backends.onnxruntime_recordings import OF_PROCESS
from pasarela_server.errors import BackendMissing, InvalidModel
from tests.unit.server.backends.onnxruntime_twin import Inference, Runtime, Twin

Make = Callable[..., Path]
GRAPHS = {"cuda": {"enable_cuda_graph": "1"}}


def on_gpu(device: str = "cuda:1", *, graphs: bool = False, instances: int = 1, **parameters: str) -> BackendOptions:
    return BackendOptions(instances, 1, {"device": device, **parameters}, accelerators=GRAPHS if graphs else {})


def images(rows: int = 1, height: int = 64, width: int = 96, seed: int = 0) -> dict[str, np.ndarray]:
    return {"images": np.random.default_rng(seed).random((rows, 3, height, width)).astype(np.float32)}


def numbers(rows: int, seed: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).random((rows, 4), np.float32)}


class Loaded:
    """A model on a GPU's twin, and on the CPU, which computes it with the same code on as many threads."""

    def __init__(self, artefact: Path, options: BackendOptions) -> None:
        self.twin = Twin()
        self.runtime = Runtime()
        self.backend = OnnxRuntimeBackend(self.twin, artefact, options, lambda: self.runtime.memory)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        inference = onnxruntime.InferenceSession(str(artefact), settings, providers=["CPUExecutionProvider"])
        self.plain = OnnxRuntimeSession(inference, [output.name for output in inference.get_outputs()])

    def bound(self, *, tried: bool = True) -> BoundSession:
        """A session, as it is after its first runs have been compared; or before that."""
        session = self.backend.session()
        assert isinstance(session, BoundSession)
        if tried:
            session._trials_left = 0
        return session

    def agree(self, session: BoundSession, inputs: dict[str, np.ndarray]) -> None:
        answers, expected = session.infer(inputs), self.plain.infer(inputs)
        assert all(np.array_equal(answers[name], array) for name, array in expected.items())

    @property
    def inference(self) -> Inference:
        (inference,) = self.twin.opened
        return inference


@pytest.fixture
def detector(make: Make, tmp_path: Path) -> Path:
    return make("onnx_detector", tmp_path)


@pytest.fixture
def adder(make: Make, tmp_path: Path) -> Path:
    return make("onnx_adder", tmp_path)


def test_sessions_on_a_gpu_are_bound_and_share_one_inference_session(detector: Path) -> None:
    loaded = Loaded(detector, on_gpu(instances=2))
    sessions = [loaded.bound(), loaded.bound()]
    for seed, session in enumerate(sessions * 2):
        loaded.agree(session, images(2, seed=seed))
    assert loaded.inference.plain == 0
    assert "CUDA 1, I/O binding, FP32" in loaded.backend.description
    loaded.backend.close()


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("the configuration says no", on_gpu(io_binding="false")),
        ("there is no GPU to bind to", on_gpu("cpu")),
    ],
)
def test_sessions_that_are_not_bound(detector: Path, reason: str, options: BackendOptions) -> None:
    if options.parameters["device"] == "cpu":
        backend = load_backend("onnxruntime", detector, options)
    else:
        backend = OnnxRuntimeBackend(Twin(), detector, options, lambda: Runtime().memory)
    assert isinstance(backend.session(), OnnxRuntimeSession), reason
    assert "binding" not in backend.description


def test_without_cudas_runtime_nothing_is_bound_and_nothing_recorded(
    detector: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> str:
        return "the CUDA runtime is not installed"

    backend = OnnxRuntimeBackend(Twin(), detector, on_gpu(), missing)
    assert isinstance(backend.session(), OnnxRuntimeSession)
    assert "model.onnx: called without I/O binding: the CUDA runtime is not installed" in caplog.text
    with pytest.raises(BackendMissing, match=r"asks for CUDA graphs.*the CUDA runtime is not installed"):
        OnnxRuntimeBackend(Twin(), detector, on_gpu(graphs=True), missing)


def test_graphs_without_binding_are_refused(detector: Path) -> None:
    with pytest.raises(InvalidModel, match="enable_cuda_graph needs tensors that stay where they are"):
        OnnxRuntimeBackend(Twin(), detector, on_gpu(graphs=True, io_binding="false"), lambda: Runtime().memory)


@pytest.mark.parametrize(
    ("reason", "rows"),
    [
        ("one form", [2] * 5),
        ("forms in turn, each recorded for itself", [1, 2, 3] * 4),
        ("a form between the first two times of another", [1, 2, 1, 2, 2, 1]),
    ],
)
@pytest.mark.parametrize(
    "made",
    [
        "onnx_detector",  # reason: the images' sizes tell the answer's, so its place is known after the first run
        "onnx_adder",  # reason: it is known beforehand
    ],
)
def test_what_is_recorded_answers_as_the_network(
    make: Make, tmp_path: Path, made: str, reason: str, rows: list[int]
) -> None:
    loaded = Loaded(make(made, tmp_path), on_gpu(graphs=True))
    session = loaded.bound()
    for seed, count in enumerate(rows):
        if made == "onnx_detector":
            loaded.agree(session, images(count, seed=seed))
        else:
            loaded.agree(session, numbers(count, seed))
    forms = len(set(rows))
    assert loaded.inference.played["-1"] == forms, reason  # reason: a form that comes once is not recorded
    assert len(loaded.inference.recorded) == forms
    assert loaded.inference.played.total() == len(rows)
    assert loaded.inference.plain == 0
    assert "I/O binding and CUDA graphs" in loaded.backend.description


def test_the_same_rows_of_another_size_are_another_form(detector: Path) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True))
    session = loaded.bound()
    for seed in range(4):
        loaded.agree(session, images(1, 64, 96, seed))
        loaded.agree(session, images(1, 96, 64, seed))
    assert len(loaded.inference.recorded) == 2


def test_numbers_of_recordings_are_never_onnx_runtimes_own(detector: Path) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True))
    session = loaded.bound()
    for rows in (1, 2, 3) * 2:
        loaded.agree(session, images(rows))
    used = [int(number) for _, number in loaded.inference.recorded]
    assert len(set(used)) == 3
    assert min(used) >= 1


def test_when_there_is_no_room_for_more_forms_run_step_by_step(adder: Path) -> None:
    loaded = Loaded(adder, on_gpu(graphs=True))
    session = loaded.bound()
    for seed in range(3):
        for rows in range(1, 21):
            loaded.agree(session, numbers(rows, seed))
            loaded.agree(session, numbers(rows, seed + 100))
    assert len(loaded.inference.recorded) == 16
    assert loaded.inference.played["-1"] == 16 + 3 * 2 * 4
    assert loaded.inference.plain == 0


def test_each_thread_that_runs_a_session_has_its_recording(detector: Path) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True))
    session = loaded.bound()

    def run() -> None:
        for seed in range(3):
            loaded.agree(session, images(2, seed=seed))

    run()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    run()
    assert len({thread for thread, _ in loaded.inference.recorded}) == 2
    assert len({number for _, number in loaded.inference.recorded}) == 1


def test_while_a_model_is_loaded_nothing_is_recorded_and_all_is_answered(detector: Path) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True))
    session = loaded.bound()

    def run() -> None:
        for seed in range(3):
            loaded.agree(session, images(2, seed=seed))

    def run_elsewhere() -> None:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    with OF_PROCESS.loading():
        run()
    assert not loaded.inference.recorded
    run()
    with OF_PROCESS.loading():
        run_elsewhere()
    assert {thread for thread, _ in loaded.inference.recorded} == {threading.get_ident()}
    assert loaded.inference.plain == 0


def test_what_records_is_not_shared(detector: Path) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True, instances=2))
    sessions = [loaded.bound(), loaded.bound()]
    assert len(loaded.twin.opened) == 2
    for seed in range(3):
        for session in sessions:
            loaded.agree(session, images(2, seed=seed))
    assert [len(inference.recorded) for inference in loaded.twin.opened] == [1, 1]


def test_a_recording_that_fails_is_not_tried_again(detector: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True))
    session = loaded.bound()
    loaded.agree(session, images(2, seed=0))
    loaded.inference.fails = {str(number): RuntimeError("operation not permitted") for number in range(1, 17)}
    with caplog.at_level(logging.WARNING):
        for seed in range(1, 5):
            loaded.agree(session, images(2, seed=seed))
    assert "nothing is recorded, for it failed: operation not permitted" in caplog.text
    assert len(loaded.inference.fails) == 15
    assert (loaded.inference.plain, loaded.inference.recorded) == (1, {})
    assert session.binds


def test_sessions_side_by_side_record_and_answer(detector: Path) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True, instances=2))
    sessions = [loaded.bound(), loaded.bound()]
    expected = {seed: loaded.plain.infer(images(2, seed=seed))["output0"] for seed in range(6)}
    wrong: list[int] = []

    def stream(session: BoundSession) -> None:
        for seed, answer in expected.items():
            if not np.array_equal(session.infer(images(2, seed=seed))["output0"], answer):
                wrong.append(seed)

    threads = [threading.Thread(target=stream, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(len(inference.recorded) for inference in loaded.twin.opened) == 2


@pytest.mark.parametrize("graphs", [False, True])
def test_the_first_runs_are_compared_with_the_plain_call(detector: Path, graphs: bool) -> None:
    loaded = Loaded(detector, on_gpu(graphs=graphs))
    session = loaded.bound(tried=False)
    for seed in range(5):
        loaded.agree(session, images(2, seed=seed))
    assert session.binds
    assert loaded.inference.plain == 3


@pytest.mark.parametrize("run", range(3))  # reason: memory is taken, what is recorded is recorded, and it is played
def test_answers_that_differ_when_they_are_bound_are_not_given(
    detector: Path, run: int, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = Loaded(detector, on_gpu(graphs=True))
    session = loaded.bound(tried=False)
    for seed in range(run):
        loaded.agree(session, images(2, seed=seed))
    read_into = loaded.runtime.memory.read_into

    def read_stale(target: np.ndarray, address: int, device_id: int) -> None:
        read_into(target, address, device_id)
        target *= 2

    loaded.runtime.memory.read_into = read_stale  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        for seed in range(4):
            loaded.agree(session, images(2, seed=seed))
    assert not session.binds
    assert "from now on nothing is bound, for answers were not those of the plain call" in caplog.text


@pytest.mark.parametrize(
    ("answer", "plain", "expected"),
    [
        ([1.0, 200.0], [1.0, 200.0], True),  # reason: the same
        ([1.5, 199.0], [1.0, 200.0], True),  # reason: within a hundredth of the largest
        ([1.0, 190.0], [1.0, 200.0], False),  # reason: beyond it
        ([np.nan, 1.0], [np.nan, 1.0], True),  # reason: no number is as good as no number
        ([np.nan, 1.0], [0.0, 1.0], False),  # reason: a number was right
        ([np.inf, 1.0], [np.inf, 1.0], True),  # reason: nothing can be said of the largest
        ([0.0], [0.0, 0.0], False),  # reason: fewer
        ([], [], True),  # reason: nothing
    ],
)
def test_answers_are_alike_up_to_rounding(answer: list[float], plain: list[float], expected: bool) -> None:
    assert alike(np.array(answer, np.float32), np.array(plain, np.float32)) == expected


def test_whole_numbers_have_no_rounding() -> None:
    assert alike(np.array([100, 1]), np.array([100, 1]))
    assert not alike(np.array([100, 1]), np.array([100, 2]))
    assert not alike(np.array([100], np.int32), np.array([100], np.int64))
