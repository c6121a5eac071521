"""Sizes that would end the process are refused at the door."""

import numpy as np
import pytest

from pasarela_server.backends import ArtefactSpec, check_spatial
from pasarela_server.errors import InvalidRequest
from pasarela_server.tensor import DataType, TensorSpec

METADATA = {"task": "detect", "names": {0: "vest"}, "stride": 32, "imgsz": [320, 320]}


def spec(*shape: int, metadata: dict[str, object] = METADATA) -> ArtefactSpec:
    return ArtefactSpec((TensorSpec("images", DataType.FP32, shape),), (), True, metadata)


DYNAMIC = spec(-1, 3, -1, -1)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        pytest.param(DYNAMIC, (32, 32), id="the smallest"),
        pytest.param(DYNAMIC, (320, 64), id="any multiple"),
        pytest.param(spec(-1, 3, 100, 100), (100, 100), id="fixed sizes are the model's own affair"),
        pytest.param(spec(-1, 3, -1, -1, metadata={}), (1, 1), id="nobody says that it has a stride"),
        pytest.param(spec(-1, 3, -1, -1, metadata={"stride": 32}), (1, 1), id="a stride that is none of an image"),
        pytest.param(spec(-1, 3, -1, -1, metadata=METADATA | {"stride": "wide"}), (1, 1), id="a stride that is none"),
        pytest.param(spec(-1, 3, -1, -1, metadata=METADATA | {"stride": float("inf")}), (1, 1), id="nor is this"),
    ],
)
def test_what_the_network_can_take_passes(model: ArtefactSpec, size: tuple[int, int]) -> None:
    check_spatial(model, {"images": np.zeros((1, 3, *size), np.float32)})


@pytest.mark.parametrize(
    ("model", "size", "says"),
    [
        pytest.param(DYNAMIC, (1, 1), "'images': height must be a positive multiple of 32, got 1", id="one pixel"),
        pytest.param(DYNAMIC, (320, 0), "width must be a positive multiple of 32, got 0", id="no width"),
        pytest.param(DYNAMIC, (320, 330), "width must be a positive multiple of 32, got 330", id="no multiple"),
        pytest.param(spec(-1, 3, -1, 100), (16, 100), "height must be", id="one side fixed"),
        pytest.param(spec(-1, 3, -1, -1, metadata=METADATA | {"stride": 64}), (96, 64), "of 64, got 96", id="stride"),
        pytest.param(
            spec(-1, 3, -1, -1, metadata=METADATA | {"stride": [8, 16, 32]}),
            (16, 32),
            "of 32, got 16",
            id="a stride for each head",
        ),
        pytest.param(spec(-1, 3, -1, -1, metadata=METADATA | {"stride": 32.0}), (1, 1), "of 32, got 1", id="a float"),
        pytest.param(
            spec(-1, 3, -1, -1, metadata={"stride": 32, "task": "detect"}),
            (1, 1),
            "of 32, got 1",
            id="metadata of which half is lost",
        ),
    ],
)
def test_what_it_cannot_take_is_refused(model: ArtefactSpec, size: tuple[int, int], says: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        check_spatial(model, {"images": np.zeros((1, 3, *size), np.float32)})
    assert says in str(refusal.value)
