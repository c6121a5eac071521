from pathlib import Path

import pytest

from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.errors import TrainingError

COCO = '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "coat"}]}'


def lay(root: Path, *files: tuple[str, str]) -> Path:
    for name, text in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


YOLO = (("classes.txt", "coat\n"), ("images/a.jpg", ""), ("labels/a.txt", ""))


@pytest.mark.parametrize(
    ("files", "layout"),
    [
        ([("train/image/1.jpg", "")], "DeepFashion2"),  # reason: its folders
        ([("annotations/instances_train2017.json", COCO)], "COCO"),  # reason: as COCO is handed out
        ([("train/_annotations.coco.json", COCO)], "COCO"),  # reason: beside the images
        ([("data.yaml", "names: [coat]\ntrain: images\n"), ("images/a.jpg", "")], "YOLO"),  # reason: settings
        (YOLO, "YOLO"),  # reason: folders alone, with names
    ],
)
def test_the_layout_is_found(tmp_path: Path, files: list[tuple[str, str]], layout: str) -> None:
    assert open_source(lay(tmp_path, *files)).layout == layout


def test_two_that_fit_have_to_be_told_apart(tmp_path: Path) -> None:
    lay(tmp_path, *YOLO, ("train.json", COCO))
    with pytest.raises(TrainingError, match=r"could be yolo or coco; say which with dataset\.layout"):
        open_source(tmp_path)
    assert open_source(tmp_path, "coco").layout == "COCO"


@pytest.mark.parametrize(
    ("files", "layout", "part"),
    [
        ([("a.txt", "")], "auto", r"Looked for DeepFashion2.*Found a\.txt"),  # reason: nothing that is known
        ([("images/a.jpg", ""), ("labels/a.txt", "")], "auto", "classes.txt"),  # reason: classes have no names
        ([("a.txt", "")], "yolo", r"Looked for YOLO.*Found a\.txt"),  # reason: not what it was told to be
        ([("a.txt", "")], "voc", "expected auto, deepfashion2"),  # reason: no layout at all
    ],
)
def test_a_refusal_says_what_was_looked_for(
    tmp_path: Path, files: list[tuple[str, str]], layout: str, part: str
) -> None:
    with pytest.raises(TrainingError, match=part):
        open_source(lay(tmp_path, *files), layout)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no folder"):
        open_source(tmp_path / "nowhere")
