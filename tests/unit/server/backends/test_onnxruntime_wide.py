"""One image on all cores of a model, with ONNX Runtime: a session of its own, opened beside the work."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import BackendOptions, WideSession

SHIPPED = Path(__file__).parents[4] / "model_repository/garments_onnx/1/model.onnx"
IMAGE = {"images": np.random.default_rng(1).random((1, 3, 320, 320), np.float32)}


def backend(artefact: Path = SHIPPED, instances: int = 2, threads: int = 1, **parameters: str):
    return load_backend("onnxruntime", artefact, BackendOptions(instances, threads, parameters))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copy(SHIPPED, tmp_path))


def test_the_answer_is_the_same_before_and_after_the_session_is_there() -> None:
    loaded = backend()
    session = loaded.session()
    assert isinstance(session, WideSession)
    assert session.wide_threads == 2
    expected = session.infer(IMAGE)["output0"]
    first = session.infer_wide(IMAGE)["output0"]
    loaded._wide._thread.join()
    assert loaded._wide.ready().get_session_options().intra_op_num_threads == 2
    wide = session.infer_wide(IMAGE)["output0"]
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_allclose(wide, expected, rtol=1e-3, atol=1e-3)
    loaded.close()


@pytest.mark.parametrize(
    ("reason", "instances", "threads", "parameters"),
    [
        ("an instance has all cores", 1, 1, {}),
        ("an instance has several", 2, 2, {}),
        ("the configuration says no", 2, 1, {"wide": "false"}),
    ],
)
def test_no_session_of_its_own(reason: str, instances: int, threads: int, parameters: dict[str, str]) -> None:
    loaded = backend(instances=instances, threads=threads, **parameters)
    session = loaded.session()
    assert session.wide_threads == 0, reason
    np.testing.assert_array_equal(session.infer_wide(IMAGE)["output0"], session.infer(IMAGE)["output0"])
    loaded.close()


def test_a_model_that_is_no_detector_has_none(make: Callable[..., Path], tmp_path: Path) -> None:
    loaded = backend(make("onnx_adder", tmp_path))
    assert loaded.session().wide_threads == 0
    loaded.close()


@pytest.mark.parametrize("change", ["another", "gone", "beside"])
def test_a_file_that_has_changed_is_not_read_again(copied: Path, change: str, caplog) -> None:
    loaded = backend(copied)
    session = loaded.session()
    expected = session.infer(IMAGE)["output0"]
    if change == "another":
        copied.write_bytes(copied.read_bytes())
    elif change == "gone":
        copied.unlink()
    else:
        (copied.parent / "weights.bin").write_bytes(b"new")
    session.infer_wide(IMAGE)
    loaded._wide._thread.join()
    assert loaded._wide.ready() is None
    np.testing.assert_array_equal(session.infer_wide(IMAGE)["output0"], expected)
    assert ("could not be opened a second time" in caplog.text) == (change == "gone")
    loaded.close()
