"""One image on all cores of a model: a form of its own, made beside the work, that answers as the others do."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import BackendOptions, WideSession
from pasarela_server.backends.openvino_variants import Variant, Variants

SHIPPED = Path(__file__).parents[4] / "model_repository/garments_openvino/1/model.xml"
SECONDS = 60


def backend(instances: int = 2, **parameters: str):
    return load_backend(
        "openvino",
        SHIPPED,
        BackendOptions(instances=instances, threads=1, parameters={"precision": "f32", **parameters}),
    )


def test_the_answer_is_the_same_before_and_after_the_form_is_there() -> None:
    loaded = backend()
    session = loaded.session()
    assert isinstance(session, WideSession)
    assert session.wide_threads == 2
    pixels = {"images": np.random.default_rng(1).integers(0, 256, (1, 320, 320, 3), np.uint8)}
    expected = session.infer(pixels)["output0"]
    first = session.infer_wide(pixels)["output0"]
    loaded._variants.close()  # waits until it has been compiled
    wide = session.infer_wide(pixels)["output0"]
    assert loaded._variants.prepared(loaded._wide)
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_allclose(wide, expected, rtol=1e-3, atol=1e-3)
    loaded.close()


@pytest.mark.parametrize(
    ("reason", "instances", "parameters"),
    [
        ("an instance has all cores", 1, {}),
        ("the configuration says no", 2, {"wide": "false"}),
    ],
)
def test_no_form_of_its_own(reason: str, instances: int, parameters: dict[str, str]) -> None:
    loaded = backend(instances, **parameters)
    assert loaded.session().wide_threads == 0, reason
    loaded.close()


def test_values_and_batches_stay_as_they_are() -> None:
    loaded = backend()
    session = loaded.session()
    values = {"images": np.zeros((1, 3, 320, 320), np.float32)}
    np.testing.assert_array_equal(session.infer_wide(values)["output0"], session.infer(values)["output0"])
    assert not loaded._variants._preparing, "nothing was compiled for what does not come as pixels"
    loaded.close()


def test_a_form_that_cannot_be_compiled_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    asked = threading.Event()

    def compiled_by(variant: Variant) -> object:
        asked.set()
        raise RuntimeError("no")

    variants = Variants(compiled_by, (Variant(wide=True),))
    assert not variants.prepared(Variant(wide=True))
    assert asked.wait(SECONDS)
    variants.close()
    assert not variants.prepared(Variant(wide=True))
    assert "could not be compiled" in caplog.text
