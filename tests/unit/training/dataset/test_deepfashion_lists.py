import pickle
from pathlib import Path

import pytest

from pasarela_training.dataset.records import BrokenAnnotation
from pasarela_training.dataset.sources.base import Source
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.errors import TrainingError

NAMES = [f"img/{folder}/img_0000000{number}.jpg" for folder in ("Sheer_Blouse", "Denim_Jeans") for number in (1, 2)]
BOXES = ["72   79  232  273", "67 59 155 161", "10 10 10 50", "1 2 x 4"]


def lay(root: Path, boxes: list[str], *, count: int | None = None, partition: bool = True) -> Path:
    for folder in ("Anno/Coarse", "Eval", *{f"Img/{name.rpartition('/')[0]}" for name in NAMES}):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (root / "Img" / name).touch()
    anno = root / "Anno" / "Coarse"
    rows = "".join(f"{name}     {box} \n" for name, box in zip(NAMES, boxes, strict=True))
    (anno / "list_bbox.txt").write_text(f"{count or len(NAMES)}\nimage_name  x_1  y_1  x_2  y_2\n{rows}")
    (anno / "list_category_cloth.txt").write_text("2\ncategory_name  category_type\nBlouse   1\nJeans   2\n")
    listed = "".join(f"{name}   {1 if 'Sheer' in name else 2}\n" for name in NAMES[:-1])
    (anno / "list_category_img.txt").write_text(f"3\nimage_name  category_label\n{listed}")
    if partition:
        words = zip(NAMES, ("train", "val", "test", "train"), strict=True)
        text = "".join(f"{name}    {word}\n" for name, word in words)
        (root / "Eval" / "list_eval_partition.txt").write_text(f"4\nimage_name  evaluation_status\n{text}")
    return root


def opened(root: Path) -> Source:
    return open_source(root)


def test_lists_are_read_wherever_they_lie(tmp_path: Path) -> None:
    source = opened(lay(tmp_path, BOXES))
    assert [(one.id, one.name, one.supercategory) for one in source.categories] == [
        (1, "Blouse", "upper-body"),
        (2, "Jeans", "lower-body"),
    ]
    entries, faults = source.entries(("train", "validation", "test"))
    assert faults == []
    assert [str(entry.key) for entry in entries] == [
        f"test/{NAMES[2]}",
        f"train/{NAMES[3]}",
        f"train/{NAMES[0]}",
        f"validation/{NAMES[1]}",
    ]
    annotation, _ = pickle.loads(pickle.dumps(source)).read(entries[2])
    assert (annotation.file_name, annotation.group) == (f"Img/{NAMES[0]}", "img/Sheer_Blouse")
    assert [(item.category_id, item.box) for item in annotation.items] == [(1, (72, 79, 232, 273))]


def test_without_partition_everything_is_train(tmp_path: Path) -> None:
    source = opened(lay(tmp_path, BOXES, partition=False))
    assert len(source.entries(("train",))[0]) == 4
    with pytest.raises(TrainingError, match="no 'test' split, only train"):
        source.entries(("test",))


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        (2, "no area"),  # reason: no width
        (3, "missing annotation"),  # reason: not in the list of categories
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, index: int, kind: str) -> None:
    source = opened(lay(tmp_path, BOXES, partition=False))
    (entry,) = [entry for entry in source.entries(("train",))[0] if entry.key.name == NAMES[index]]
    with pytest.raises(BrokenAnnotation) as caught:
        source.read(entry)
    assert caught.value.kind == kind


def test_a_list_cut_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="says 9 rows, 4 follow"):
        opened(lay(tmp_path, BOXES, count=9))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    lay(tmp_path, BOXES)
    (tmp_path / "Anno" / "Coarse" / "list_category_img.txt").unlink()
    with pytest.raises(TrainingError, match=r"lacks list_category_img\.txt"):
        opened(tmp_path)
