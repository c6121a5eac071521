import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.config import SampleSection
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.sample import make_sample
from pasarela_training.dataset.yolo import label_line, make_yolo, parse_label_line

Garment = Callable[..., dict[str, Any]]


def test_a_box_computed_by_hand() -> None:
    # centre (10 + 15, 20 + 30) / (100, 200), size (30, 60) / (100, 200); category 9 is class 8
    assert label_line(9, [10, 20, 30, 60], 100, 200) == "8 0.250000 0.250000 0.300000 0.300000"


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, tuple[float, float, float, float]]:
    width, height = draw(st.integers(1, 8000)), draw(st.integers(1, 8000))
    left, top = draw(st.floats(0, width - 0.5)), draw(st.floats(0, height - 0.5))
    return width, height, (left, top, draw(st.floats(0.25, width - left)), draw(st.floats(0.25, height - top)))


@given(boxes(), st.integers(1, 13))
def test_a_box_comes_back_within_half_a_pixel(
    case: tuple[int, int, tuple[float, float, float, float]], category: int
) -> None:
    width, height, box = case
    known, back = parse_label_line(label_line(category, box, width, height), width, height)
    assert known == category
    corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    assert (back[0], back[1], back[0] + back[2], back[1] + back[3]) == pytest.approx(corners, abs=0.5)


def test_the_folder_is_what_ultralytics_reads(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    for stem in ("000001", "000002", "000003"):
        add_image(stem, make_garment(), make_garment(category_id=7, category_name="shorts", landmarks=[]))
    for name in ("sample", "coco", "yolo"):
        (tmp_path / name).mkdir()
    make_sample(dataset, SampleSection(), tmp_path / "sample")
    make_coco(dataset, tmp_path / "sample", tmp_path / "coco")
    make_yolo(dataset, tmp_path / "coco", tmp_path / "yolo")
    moved = (tmp_path / "yolo").rename(tmp_path / "moved")
    settings = yaml.safe_load((moved / "data.yaml").read_text())
    assert "path" not in settings  # Ultralytics then looks beside the file, wherever the folder is moved
    assert settings["names"][8] == "skirt"
    seen = []
    for split in ("train", "val", "test"):
        for image in sorted((moved / settings[split]).iterdir()):
            seen.append(image.name)
            original = dataset / "train" / "image" / image.name.removeprefix("train_")
            assert image.samefile(original)
            label = moved / "labels" / split / f"{image.stem}.txt"
            assert [line.split()[0] for line in label.read_text().splitlines()] == ["8", "6"]
    assert sorted(seen) == ["train_000001.jpg", "train_000002.jpg", "train_000003.jpg"]
    assert json.loads((tmp_path / "coco" / "report.json").read_text())["faults"] == []
