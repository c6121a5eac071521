from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.tensor import Array, DataType, TensorSpec
from pasarela_training.errors import TrainingError
from pasarela_training.export.check import batch_difference, check_variant

METADATA = {"task": "detect", "names": {0: "vest"}, "stride": 32, "imgsz": [32, 32]}
Floats = npt.NDArray[np.float32]


def honest(images: Floats) -> Floats:
    """Boxes and a score made of each image alone."""
    means = images.mean(axis=(1, 2, 3), keepdims=False)[:, None, None]
    return np.concatenate((np.tile(means * 30, (1, 4, 21)), np.tile(means, (1, 1, 21))), axis=1).astype(np.float32)


def first_row_only(images: Floats) -> Floats:
    return np.repeat(honest(images)[:1], len(images), axis=0)


def one_row(images: Floats) -> Floats:
    return honest(images)[:1]


class Session:
    def __init__(self, answer: Callable[[Floats], Floats]) -> None:
        self.answer = answer

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return {"output0": self.answer(inputs["images"])}


class Backend:
    description = "a fake"

    def __init__(self, answer: Callable[[Floats], Floats], metadata: Mapping[str, Any], batched: bool = True) -> None:
        tensors = (TensorSpec("images", DataType.FP32, (1, 3, 32, 32)),)
        self.spec = ArtefactSpec(tensors, tensors, batched, metadata)
        self.answer = answer

    def session(self) -> Session:
        return Session(self.answer)

    def close(self) -> None:
        return


def test_an_honest_variant_passes() -> None:
    difference = check_variant(Backend(honest, METADATA), 32, batch=3)
    assert (difference.box_px, difference.score) == pytest.approx((0, 0), abs=1e-5)


@pytest.mark.parametrize(
    ("backend", "part"),
    [
        (Backend(lambda images: first_row_only(images) + 1, METADATA), "answered differently"),  # reason: a stuck row
        (Backend(one_row, METADATA), "shape"),  # reason: a batch of one for any batch
        (Backend(honest, METADATA, batched=False), "fixed"),  # reason: exported without a dynamic batch
        (Backend(honest, {"task": "detect"}), "no names, stride, imgsz"),  # reason: exported without metadata
    ],
)
def test_what_would_be_served_wrongly_is_refused(backend: Backend, part: str) -> None:
    backend.answer = scaled(backend.answer)
    with pytest.raises(TrainingError, match=part):
        check_variant(backend, 32, batch=3)


def scaled(answer: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """Noise images hardly differ in their means: make the difference large."""
    return lambda images: answer((images - 0.5) * 1000)


def test_boxes_of_noise_anchors_do_not_count() -> None:
    one, other = np.zeros((1, 5, 2), np.float32), np.zeros((1, 5, 2), np.float32)
    other[0, :4, 0] = 100
    assert batch_difference(one, other).box_px == 0
    one[0, 4, 0] = other[0, 4, 0] = 0.9
    assert batch_difference(one, other).box_px == 100
