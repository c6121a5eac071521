"""Pictures of the truth beside the detections."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from PIL import Image

from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.look.stage import make_look

SECTION = EvaluateSection(splits=("test",))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Two images; on the second nothing is found above the score that counts."""
    for name in ("coco", "evaluate/predictions", "look"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("good", "bad"):
        Image.new("RGB", (120, 160), "grey").save(tmp_path / f"{name}.jpg")
    boxes = [{"image_id": number, "category_id": 1, "bbox": [10, 10, 60, 60]} for number in (1, 2)]
    document = {
        "images": [{"id": 1, "file_name": "good.jpg"}, {"id": 2, "file_name": "bad.jpg"}],
        "categories": [{"id": 1, "name": "skirt"}],
        "annotations": boxes,
    }
    (tmp_path / "coco/test.json").write_bytes(orjson.dumps(document))
    results = [box | {"score": score} for box, score in zip(boxes, (0.9, 0.1), strict=True)]
    (tmp_path / "evaluate/predictions/onnx-test.json").write_bytes(orjson.dumps(results))
    return tmp_path


def look(folder: Path, limit: int = 40) -> str:
    return make_look(folder, folder / "coco", folder / "evaluate", "onnx", SECTION, folder / "look", limit=limit)


def test_worst_image_comes_first(workspace: Path) -> None:
    assert "2 of test" in look(workspace)
    files = sorted(path.name for path in (workspace / "look/test").iterdir())
    assert files == ["001-bad.jpg", "002-good.jpg"]
    listed = orjson.loads((workspace / "look/missed.json").read_bytes())["test"]
    assert [entry["missed"] for entry in listed] == [1, 0]
    with Image.open(workspace / "look/test/001-bad.jpg") as pair, Image.open(workspace / "look/test.jpg") as sheet:
        assert pair.width > 2 * 120
        assert sheet.width > 2 * 480


def test_limit(workspace: Path) -> None:
    look(workspace, limit=1)
    assert len(list((workspace / "look/test").iterdir())) == 1


def test_image_that_is_gone_is_named(workspace: Path) -> None:
    (workspace / "bad.jpg").unlink()
    with pytest.raises(TrainingError, match=r"bad\.jpg cannot be drawn"):
        look(workspace)
