import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.records import Annotation, BrokenAnnotation, Category, Entry, Fault, ImageKey, Item
from pasarela_training.errors import TrainingError

SKIRT = Category(9, "skirt", landmarks=8)
OTHER = Category(40, "hat", supercategory="accessory")
LANDMARKS = [10.0, 20, 2, 20, 20, 1, 40, 20, 2, 10, 50, 2, 10, 80, 2, 25, 80, 0, 40, 80, 2, 40, 50, 2]
OUTLINE = [10.0, 20, 40, 20, 40, 80, 10, 80]
ITEM = Item(1, 9, (10, 20, 40, 80))
Known = Annotation | BrokenAnnotation
RLE = {"size": [200, 100], "counts": [2000, 50, 17950]}


@dataclass(frozen=True)
class TableSource:
    """A dataset that says what a table says."""

    image_root: Path
    known: Mapping[str, Known]
    faults: Mapping[str, list[Fault]] = field(default_factory=dict)
    layout: str = "table"
    categories: tuple[Category, ...] = (SKIRT, OTHER)
    mended: Mapping[str, int] = field(default_factory=dict)

    def entries(self, splits: Sequence[str]) -> tuple[list[Entry], list[Fault]]:
        assert list(splits) == ["train"]
        return [
            Entry(ImageKey("train", name), number, self.image_root / f"{name}.jpg", name)
            for number, name in enumerate(sorted(self.known), start=1)
        ], []

    def read(self, entry: Entry) -> tuple[Annotation, list[Fault]]:
        known = self.known[entry.raw]
        if isinstance(known, BrokenAnnotation):
            raise known
        return known, self.faults.get(entry.raw, [])


def annotation(name: str, *items: Item, **more: Any) -> Annotation:
    known = {"source": "", "pair_id": 0} | more
    return Annotation(ImageKey("train", name), int(name), f"{name}.jpg", items=items, **known)


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Converts what is given as the train split, beside one good image each for val and test."""

    def run(*given: Annotation, sizes: tuple[int, int] = (100, 200), **more: Any) -> dict[str, Any]:
        known: dict[str, Known] = {
            one.key.name: one for one in (*given, annotation("98", ITEM), annotation("99", ITEM))
        }
        known |= more.pop("broken", {})
        images = tmp_path / "images"
        images.mkdir()
        for name in known:
            Image.new("RGB", sizes).save(images / f"{name}.jpg")
        for name in more.pop("without_image", ()):
            (images / f"{name}.jpg").unlink()
        for folder in ("sample", "coco"):
            (tmp_path / folder).mkdir()
        train = [name for name in known if name not in ("98", "99")] + more.pop("unknown", [])
        for split, names in {"train": train, "val": ["98"], "test": ["99"]}.items():
            (tmp_path / "sample" / f"{split}.txt").write_text("".join(f"train/{name}\n" for name in names))
        source = TableSource(images, known, more.pop("faults", {}))
        max_broken = more.pop("max_broken", 1)
        make_coco(source, tmp_path / "sample", processes=1, max_broken=max_broken, output=tmp_path / "coco")
        names = ("train.json", "val.json", "test.json", "report.json")
        assert sorted(path.name for path in (tmp_path / "coco").iterdir()) == sorted(names)
        return {name.removesuffix(".json"): json.loads((tmp_path / "coco" / name).read_text()) for name in names}

    return run


def test_every_field_computed_by_hand(convert: Callable[..., dict[str, Any]]) -> None:
    attributes = {"scale": 2, "occlusion": 1, "zoom_in": 1, "viewpoint": 2}
    item = Item(1, 9, (10, 20, 40, 80), [OUTLINE], LANDMARKS, 1, attributes)
    found = convert(annotation("7", item, source="user", pair_id=12))
    assert list(found["train"]) == ["info", "licenses", "categories", "images", "annotations"]
    assert found["train"]["images"] == [
        {"id": 7, "file_name": "7.jpg", "width": 100, "height": 200, "license": 1, "source": "user", "pair_id": 12}
    ]
    assert found["train"]["annotations"] == [
        {
            "id": 1,
            "image_id": 7,
            "category_id": 9,
            "bbox": [10, 20, 30, 60],  # left, top, 40 - 10, 80 - 20
            "area": 1800,  # 30 × 60
            "segmentation": [OUTLINE],
            "iscrowd": 0,
            "style": 1,
            "keypoints": LANDMARKS,
            "num_keypoints": 7,  # all but the one with visibility 0
            **attributes,
        }
    ]
    assert found["report"]["images"] == 3
    assert found["report"]["faults"] == []


def test_every_split_has_the_same_categories(convert: Callable[..., dict[str, Any]]) -> None:
    found = convert(annotation("1", ITEM))
    expected = [
        {"id": 9, "name": "skirt", "supercategory": "clothes"},  # reason: as DeepFashion2's converter has it
        {"id": 40, "name": "hat", "supercategory": "accessory"},  # reason: as the dataset says
    ]
    assert all(found[split]["categories"] == expected for split in ("train", "val", "test"))


def test_annotations_are_numbered_without_gaps(convert: Callable[..., dict[str, Any]]) -> None:
    outside = replace(ITEM, box=(300, 300, 400, 400))
    found = convert(annotation("1", outside, ITEM, ITEM), annotation("2", ITEM))
    assert [(one["id"], one["image_id"]) for one in found["train"]["annotations"]] == [(1, 1), (2, 1), (3, 2)]


def test_the_dataset_s_own_area_and_crowds_are_kept(convert: Callable[..., dict[str, Any]]) -> None:
    found = convert(annotation("1", replace(ITEM, area=12.5), replace(ITEM, crowd=RLE)))
    first, second = found["train"]["annotations"]
    assert (first["area"], first["iscrowd"]) == (12.5, 0)
    assert (second["segmentation"], second["iscrowd"]) == (RLE, 1)


@pytest.mark.parametrize(
    ("box", "written", "action", "kind"),
    [
        ((10, 20, 40, 80), [10, 20, 30, 60], None, None),  # reason: inside
        ((-5, -5, 110, 220), [0, 0, 100, 200], "clipped", "outside the image"),  # reason: beyond every side
        ((90, 20, 130, 80), [90, 20, 10, 60], "clipped", "outside the image"),  # reason: beyond one
        ((0, 0, 100.004, 200), [0, 0, 100, 200], None, None),  # reason: what six decimals of a label lose
        ((100, 0, 120, 50), None, "dropped", "outside the image"),  # reason: begins where the image ends
        ((-20, 0, 0, 50), None, "dropped", "outside the image"),  # reason: ends where it begins
        ((10, 20, 10, 80), None, "dropped", "no area"),  # reason: no width
        ((40, 20, 10, 80), None, "dropped", "no area"),  # reason: corners swapped
    ],
)
def test_boxes_are_clipped_to_the_image(
    convert: Callable[..., dict[str, Any]],
    box: tuple[float, float, float, float],
    written: list[float] | None,
    action: str | None,
    kind: str | None,
) -> None:
    found = convert(annotation("1", ITEM, replace(ITEM, number=2, box=box)))
    assert [one["bbox"] for one in found["train"]["annotations"][1:]] == ([] if written is None else [written])
    faults = [(one["image"], one["where"], one["action"], one["kind"]) for one in found["report"]["faults"]]
    assert faults == ([("train/1", "item2", action, kind)] if action else [])


def test_nothing_is_dropped_without_a_word(convert: Callable[..., dict[str, Any]]) -> None:
    lost = Fault(ImageKey("train", "3"), "item1", "category_id is 99", "dropped", "unknown category")
    odd = Fault(ImageKey("train", "4"), "item1", "scale is 7", "kept", "bad value")
    found = convert(
        annotation("1"),
        annotation("2", replace(ITEM, box=(300, 300, 400, 400))),
        annotation("3"),
        annotation("4", ITEM),
        annotation("5", ITEM),
        broken={"6": BrokenAnnotation("not readable as JSON", "broken file")},
        faults={"3": [lost], "4": [odd]},
        without_image=["5"],
        unknown=["7"],
    )
    assert [image["id"] for image in found["train"]["images"]] == [1, 4]  # 1 legitimately has nothing on it
    faults = {(one["image"], one["where"], one["action"], one["kind"]) for one in found["report"]["faults"]}
    assert faults == {
        ("train/2", "item1", "dropped", "outside the image"),
        ("train/2", "image", "dropped", "outside the image"),
        ("train/3", "item1", "dropped", "unknown category"),
        ("train/3", "image", "dropped", "unknown category"),
        ("train/4", "item1", "kept", "bad value"),
        ("train/5", "image", "dropped", "missing image"),
        ("train/6", "annotation", "dropped", "broken file"),
        ("train/7", "image", "dropped", "missing image"),
    }
    assert (found["report"]["images"], found["report"]["images_that_lost_something"]) == (9, 5)


def test_too_many_losses_stop_it_and_leave_the_report(convert: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"1 of 4 images \(25.0%\).*not readable"):
        convert(annotation("1", ITEM), broken={"2": BrokenAnnotation("not readable")}, max_broken=0.2)
    assert json.loads((tmp_path / "coco-report.json").read_text())["counts"] == {"dropped": 1}


def test_a_split_without_a_single_usable_item_is_an_error(convert: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(TrainingError, match="no image of the train split has a usable item"):
        convert(annotation("1"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pycocotools_loads_it(
    convert: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pycocotools.coco import COCO

    convert(annotation("1", replace(ITEM, segmentation=[OUTLINE]), replace(ITEM, crowd=RLE)), annotation("2"))
    coco = COCO(str(tmp_path / "coco" / "train.json"))
    capsys.readouterr()
    assert sorted(coco.getImgIds()) == [1, 2]
    outline, crowd = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert coco.annToMask(outline).sum() == pytest.approx(1800, rel=0.05)
    assert coco.annToMask(crowd).sum() == 50
