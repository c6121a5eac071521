"""What a loaded artefact does not depend on, and what a closed one does not keep."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends import BackendOptions, load_backend
from pasarela_server.errors import BackendFailure
from pasarela_server.tensor import Array

OPTIONS = BackendOptions(instances=2, threads=1)


def images() -> dict[str, Array]:
    return {"images": np.random.default_rng(3).random((1, 3, 64, 96)).astype(np.float32)}


def test_files_may_be_overwritten_in_place(backend_name: str, detector: Path) -> None:
    session = load_backend(backend_name, detector, OPTIONS).session()
    before = session.infer(images())["output0"]
    for file in detector.parent.iterdir():
        with file.open("r+b") as opened:
            opened.truncate(0)  # a mapped file would end the process at the next touch
    assert np.array_equal(session.infer(images())["output0"], before)


def test_a_session_that_outlives_its_backend_keeps_nothing_of_it(backend_name: str, detector: Path) -> None:
    backend = load_backend(backend_name, detector, OPTIONS)
    session = backend.session()
    session.infer(images())
    native = [weakref.ref(value) for value in vars(session).values() if _can_be_watched(value)]
    backend.close()
    gc.collect()
    assert native
    assert [reference() for reference in native if reference() is not None] == []
    with pytest.raises((BackendFailure, RuntimeError)):
        session.infer(images())


def _can_be_watched(value: object) -> bool:
    if isinstance(value, list | tuple | dict | str | None):
        return False
    try:
        weakref.ref(value)
    except TypeError:
        return False
    return True
