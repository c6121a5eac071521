"""YOLO's labels, read by supervision and by Ultralytics."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pasarela_client import Detections, FrameError, QueueFull
from pasarela_client.detections import FrameResult
from pasarela_client.exports import open_export
from tests.unit.client.made_results import NAMES, make_found, results

FAILED = FrameError(1, QueueFull("too much"), origin="photos/bad.jpg")


def export(path: Path, found: list[FrameResult], **options: Any) -> dict[str, str]:
    """The files written and what they hold."""
    with open_export(path, "yolo", **options) as writer:
        for result in found:
            writer.add(result)
    return {entry.name: entry.read_text("utf-8") for entry in sorted(path.iterdir())}


def test_a_file_an_image(tmp_path: Path) -> None:
    found: list[FrameResult] = [
        make_found(origin="photos/1.jpg"),
        FAILED,
        make_found([], origin="photos/empty.jpg"),
        make_found([], origin="clip.mp4", frame_index=12, timestamp_s=0.5),
    ]
    # centre (10 + 50, 20 + 100) / (640, 480), size (100, 200) / (640, 480)
    assert export(tmp_path / "labels", found) == {
        "1.txt": ("0 0.093750 0.250000 0.156250 0.416667 0.900000\n1 0.625293 0.521354 0.312305 0.623958 0.500000\n"),
        "empty.txt": "",
        "clip_000012.txt": "",
        "classes.txt": "skirt\ntrousers\n",
    }


def test_labels_for_training_have_no_score(tmp_path: Path) -> None:
    files = export(tmp_path / "labels", [make_found(origin="1.jpg")], scores=False)
    assert [len(line.split()) for line in files["1.txt"].splitlines()] == [5, 5]


def test_images_of_one_name_from_several_folders_are_numbered(tmp_path: Path) -> None:
    names = [
        "a/1.jpg",
        "b/1.jpg",
        "b/1.png",
        "classes.jpg",
        "CLASSES.jpg",
        "größer 🧥.jpg",
        ".hidden.jpg",
        "no suffix",
        "/",
    ]
    files = export(tmp_path / "labels", [make_found([], origin=name) for name in names])
    assert set(files) == {
        "1.txt", "1-2.txt", "1-3.txt", "classes-2.txt", "CLASSES-2.txt", "größer 🧥.txt", ".hidden.txt",
        "no suffix.txt", "image.txt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        (None, ["class_0", "class_1", "coat"]),  # reason: the line of a class is its id, so none may be left out
        (["hat", "belt", "coat", "sock"], ["hat", "belt", "coat", "sock"]),
        ({1: "belt"}, ["class_0", "belt", "coat"]),
    ],
)
def test_the_names_of_classes(tmp_path: Path, names: Any, lines: list[str]) -> None:
    found = make_found([[0, 0, 1, 1]], class_ids=[2], names=["coat"], origin="a.jpg")
    assert export(tmp_path / "labels", [found], names=names)["classes.txt"].splitlines() == lines


def test_boxes_beyond_the_image_end_at_its_edge(tmp_path: Path) -> None:
    found = make_found([[-64, -48, 704, 528]], origin="a.jpg")
    assert export(tmp_path / "labels", [found])["a.txt"] == "0 0.500000 0.500000 1.000000 1.000000 0.900000\n"


def save_dataset(folder: Path, found: list[Detections], **options: Any) -> None:
    (folder / "images").mkdir()
    named = [f"images/{index}.png" for index in range(len(found))]
    for name, result in zip(named, found, strict=True):
        Image.new("RGB", result.image_size).save(folder / name)
    (folder / "data.yaml").write_text(f"names: {[f'class {index}' for index in range(len(NAMES))]}\n")
    export(folder / "labels", [make_with(result, name) for result, name in zip(found, named, strict=True)], **options)


def make_with(found: Detections, origin: str) -> Detections:
    return make_found(
        found.boxes, class_ids=found.class_ids, names=found.names, scores=found.scores,
        image_size=found.image_size, origin=origin,
    )  # fmt: skip


@settings(max_examples=25)
@given(st.lists(results(edge=300, most=3), min_size=1, max_size=3))
def test_supervision_reads_the_boxes_found(tmp_path_factory: pytest.TempPathFactory, found: list[Detections]) -> None:
    folder = tmp_path_factory.mktemp("yolo")
    save_dataset(folder, found)
    dataset = sv.DetectionDataset.from_yolo(str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml"))
    for index, result in enumerate(found):
        read = dataset.annotations[str(folder / "images" / f"{index}.png")]
        np.testing.assert_allclose(read.xyxy.reshape(-1, 4), result.boxes, atol=1e-3)
        assert (read.class_id is not None and read.class_id.tolist()) == result.class_ids.tolist()


def test_ultralytics_trains_on_them(tmp_path: Path) -> None:
    from ultralytics.data.utils import verify_image_label

    found = [
        make_found([[0, 0, 300, 200], [-1, 20, 30.5, 201]], image_size=(300, 200)),
        make_found([], image_size=(20, 30)),
    ]
    save_dataset(tmp_path, found, scores=False)
    for index, result in enumerate(found):
        image, label = (str(tmp_path / name) for name in (f"images/{index}.png", f"labels/{index}.txt"))
        _, boxes, *_, missing, present, empty, corrupt, message = verify_image_label(
            (image, label, "", False, len(NAMES), 0, 0, False)
        )
        assert (missing, present, corrupt, message) == (0, 1, 0, "")
        assert empty == (len(result) == 0)
        assert boxes[:, 0].tolist() == result.class_ids.tolist()
