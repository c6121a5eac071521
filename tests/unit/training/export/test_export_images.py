"""Images are chosen by seed, and what is missing is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.detection.yolo import Layout, YoloDetector
from pasarela_server.tensor import DataType
from pasarela_training.errors import TrainingError
from pasarela_training.export.images import chosen_images, prepared

SAMPLE = Path(__file__).parents[4] / "docs/images/samples/1.jpg"


def document(folder: Path, count: int) -> Path:
    path = folder / "train.json"
    path.write_text(json.dumps({"images": [{"file_name": f"{number:03}.jpg"} for number in range(count)]}))
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return document(tmp_path_factory.mktemp("coco"), 50)


@given(count=st.integers(1, 80), seed=st.integers(0, 2**32))
def test_the_same_seed_chooses_the_same_images_in_order(many: Path, count: int, seed: int) -> None:
    chosen = chosen_images(many, Path("root"), count, seed)
    assert chosen == chosen_images(many, Path("root"), count, seed)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, 50)


def test_seeds_differ(many: Path) -> None:
    assert chosen_images(many, Path(), 10, 0) != chosen_images(many, Path(), 10, 1)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "no COCO document"),  # reason: the stage did not run
        ("{", "no COCO document"),  # reason: half a file
        ("[]", "no COCO document"),  # reason: something else
        ('{"images": []}', "has no images"),  # reason: an empty split
    ],
)
def test_documents_without_images_are_named(tmp_path: Path, content: str | None, part: str) -> None:
    path = tmp_path / "val.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TrainingError, match=part):
        chosen_images(path, tmp_path, 3, 0)


@pytest.mark.parametrize("takes_pixels", [True, False])
def test_networks_get_values_even_if_their_backend_would_take_pixels(takes_pixels: bool) -> None:
    detector = YoloDetector(
        "images", "output0", ("vest",), (64, 96), 32, DataType.FP32, Layout.ANCHORS, takes_pixels=takes_pixels
    )
    values, letterbox = prepared(SAMPLE, detector)
    assert (values.shape, values.dtype) == ((1, 3, 64, 96), np.float32)
    assert 0 <= values.min() < values.max() <= 1
    assert letterbox.target == (64, 96)
