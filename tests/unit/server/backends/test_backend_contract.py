"""What `backends/base.py` promises, kept by each of the three."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends import Backend, BackendOptions, load_backend
from pasarela_server.backends.base import WideSession
from pasarela_server.errors import BackendFailure, BackendMissing, InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

Expected = Callable[[np.ndarray], np.ndarray]
OPTIONS = BackendOptions(instances=2, threads=1, parameters={"precision": "f32"})
EXACTLY = {"onnxruntime": OPTIONS, "openvino": OPTIONS, "pytorch": BackendOptions(instances=2, threads=1)}
MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "pytorch": "torch"}


@pytest.fixture
def backend(backend_name: str, detector: Path) -> Backend:
    return load_backend(backend_name, detector, EXACTLY[backend_name])


def images(batch: int = 1, height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, 3, height, width)).astype(np.float32)


def test_the_spec_is_the_same_whatever_the_framework(backend: Backend) -> None:
    spec = backend.spec
    assert spec.inputs == (TensorSpec("images", DataType.FP32, (-1, 3, -1, -1)),)
    assert spec.outputs == (TensorSpec("output0", DataType.FP32, (-1, 7, -1)),)
    assert spec.batched
    assert spec.metadata["names"] == {0: "vest", 1: "skirt", 2: 'it\'s a "sling"'}
    assert spec.metadata["imgsz"] == [64, 96]
    assert spec.metadata["stride"] == 32
    assert spec.metadata["task"] == "detect"
    assert spec.metadata["version"] == "8.4"
    assert spec.metadata["args"] == {"dynamic": True, "nms": None}


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(images(), id="the size it was exported for"),
        pytest.param(images(height=128, width=32), id="another size"),
        pytest.param(images(batch=3), id="a batch"),
        pytest.param(images(batch=2, height=32, width=32), id="a batch of another size"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_it_infers(backend_name: str, detector: Path, expected: Expected, array: np.ndarray, threads: int) -> None:
    options = BackendOptions(2, threads, EXACTLY[backend_name].parameters)
    session = load_backend(backend_name, detector, options).session()
    outputs = session.infer({"images": array})
    assert list(outputs) == ["output0"]
    assert outputs["output0"].dtype == np.float32
    assert np.allclose(outputs["output0"], expected(array), atol=1e-4)


def test_inputs_may_be_read_only_and_stay_as_they_are(backend: Backend, expected: Expected) -> None:
    array = images()
    array.flags.writeable = False
    outputs = backend.session().infer({"images": array})
    assert np.array_equal(array, images())
    assert np.allclose(outputs["output0"], expected(array), atol=1e-4)


def test_the_next_call_does_not_overwrite_an_output(backend: Backend, expected: Expected) -> None:
    session = backend.session()
    first = session.infer({"images": images(seed=1)})["output0"]
    for seed in range(2, 6):
        session.infer({"images": images(seed=seed)})
    assert np.allclose(first, expected(images(seed=1)), atol=1e-4)


def test_sessions_infer_side_by_side(backend: Backend, expected: Expected) -> None:
    together = threading.Barrier(2)
    answers: dict[int, list[np.ndarray]] = {1: [], 2: []}

    def stream(seed: int) -> None:
        session = backend.session()
        together.wait()
        answers[seed].extend(session.infer({"images": images(seed=seed)})["output0"] for _ in range(20))

    threads = [threading.Thread(target=stream, args=(seed,)) for seed in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, outputs in answers.items():
        assert len(outputs) == 20
        assert all(np.allclose(output, expected(images(seed=seed)), atol=1e-4) for output in outputs)


def test_one_image_may_have_the_cores_of_all_sessions(backend: Backend, expected: Expected) -> None:
    session = backend.session()
    assert isinstance(session, WideSession)
    assert session.wide_threads == 2
    for seed in range(5):  # reason: some make first what they need for it, beside the work
        array = images(seed=seed)
        assert np.allclose(session.infer_wide({"images": array})["output0"], expected(array), atol=1e-4)
        assert np.allclose(session.infer({"images": array})["output0"], expected(array), atol=1e-4)
    backend.close()


@pytest.mark.parametrize("options", [BackendOptions(1, 2), BackendOptions(2, 1, {"wide": "false"})])
def test_nor_need_it(backend_name: str, detector: Path, options: BackendOptions) -> None:
    session = load_backend(backend_name, detector, options).session()
    assert isinstance(session, WideSession)
    assert session.wide_threads == 0


def test_wide_is_yes_or_no(backend_name: str, detector: Path) -> None:
    with pytest.raises(InvalidModel, match="parameter 'wide' is 'maybe'; expected true or false"):
        load_backend(backend_name, detector, BackendOptions(2, 1, {"wide": "maybe"}))


def test_a_session_may_go_to_another_thread(backend: Backend, expected: Expected) -> None:
    session = backend.session()
    session.infer({"images": images()})
    answers: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: answers.append(session.infer({"images": images()})["output0"]))
    thread.start()
    thread.join()
    assert np.allclose(answers[0], expected(images()), atol=1e-4)


def test_what_the_framework_raises_is_one_line_and_leaves_the_session_whole(
    backend: Backend, expected: Expected
) -> None:
    session = backend.session()
    with pytest.raises(BackendFailure, match=r"failed: .") as failure:
        session.infer({"images": np.zeros((1, 3, 64), np.float32)})
    assert "\n" not in str(failure.value)
    assert failure.value.__cause__ is not None
    assert np.allclose(session.infer({"images": images()})["output0"], expected(images()), atol=1e-4)


def test_the_description_says_what_runs(backend_name: str, backend: Backend) -> None:
    says = {
        "onnxruntime": ("ONNX Runtime", "CPU, FP32", "2 x 1 threads"),
        "openvino": ("OpenVINO", "CPU, f32", "2 x 1 threads"),
        "pytorch": ("PyTorch", "CPU, FP32", "2 x 1 threads"),
    }
    assert all(part in backend.description for part in says[backend_name])
    assert "\n" not in backend.description
    backend.close()


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5])
def test_half_an_artefact_is_refused_without_the_hosts_folders(backend_name: str, detector: Path, keep: float) -> None:
    content = detector.read_bytes()
    detector.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(InvalidModel, match=detector.name) as refusal:
        load_backend(backend_name, detector, OPTIONS)
    assert str(detector.parent) not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_another_file_under_its_name_is_refused(backend_name: str, detector: Path) -> None:
    detector.write_text("this is a letter, not a model\n" * 40)
    with pytest.raises(InvalidModel, match=detector.name) as refusal:
        load_backend(backend_name, detector, OPTIONS)
    assert str(detector.parent) not in str(refusal.value)


def test_a_missing_artefact_is_refused(backend_name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"^model\.x is missing$"):
        load_backend(backend_name, tmp_path / "model.x", OPTIONS)


def test_a_missing_framework_is_named_with_the_command_that_installs_it(
    backend_name: str, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULES[backend_name], None)
    with pytest.raises(BackendMissing, match="is not installed") as missing:
        load_backend(backend_name, detector, OPTIONS)
    assert f'pip install "pasarela-server[{backend_name}]"' in str(missing.value)


def test_nothing_is_written_to_the_standard_streams(
    backend_name: str, detector: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = load_backend(backend_name, detector, OPTIONS).session()
    session.infer({"images": images()})
    with pytest.raises(BackendFailure):
        session.infer({"images": np.zeros((1, 3, 64), np.float32)})
    detector.write_bytes(detector.read_bytes()[:300])
    with pytest.raises(InvalidModel):
        load_backend(backend_name, detector, OPTIONS)
    assert capfd.readouterr() == ("", "")
