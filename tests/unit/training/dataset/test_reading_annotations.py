from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.dataset.deepfashion2 import BrokenAnnotation, ImageKey, parse_annotation, read_annotation

KEY = ImageKey("train", "000001")
Garment = Callable[..., dict[str, Any]]


def test_an_item_is_read_as_it_is_written(make_garment: Garment) -> None:
    annotation, faults = parse_annotation(KEY, {"source": "shop", "pair_id": 4, "item1": make_garment()})
    assert faults == []
    assert (annotation.source, annotation.pair_id) == ("shop", 4)
    (item,) = annotation.items
    assert (item.number, item.category_id, item.box, item.style) == (1, 9, (10, 20, 40, 80), 1)
    assert item.attributes == {"scale": 2, "occlusion": 1, "zoom_in": 1, "viewpoint": 2}
    assert len(item.landmarks) == 24


def test_landmarks_may_come_in_threes(make_garment: Garment) -> None:
    flat = make_garment()["landmarks"]
    nested = [flat[start : start + 3] for start in range(0, len(flat), 3)]
    annotation, faults = parse_annotation(KEY, {"pair_id": 1, "item1": make_garment(landmarks=nested)})
    assert faults == []
    assert annotation.items[0].landmarks == flat


def test_items_come_in_the_order_of_their_numbers(make_garment: Garment) -> None:
    content = {"pair_id": 1} | {f"item{number}": make_garment() for number in (10, 2, 1)}
    assert [item.number for item in parse_annotation(KEY, content)[0].items] == [1, 2, 10]


@pytest.mark.parametrize(
    ("changes", "action", "part"),
    [
        ({"category_id": 14}, "dropped", "category_id is 14"),  # reason: there are 13
        ({"category_id": [9]}, "dropped", "category_id is [9]"),  # reason: no number at all
        ({"bounding_box": [10, 20, 10, 80]}, "dropped", "no area"),  # reason: no width
        ({"bounding_box": [40, 20, 10, 80]}, "dropped", "no area"),  # reason: corners swapped
        ({"bounding_box": [10, 20, 40]}, "dropped", "expected [left, top, right, bottom]"),  # reason: three numbers
        ({"bounding_box": [10, 20, "x", 80]}, "dropped", "x"),  # reason: text
        ({"bounding_box": [10, 20, float("nan"), 80]}, "dropped", "finite"),  # reason: Python's JSON reads NaN
        ({"category_name": "trousers"}, "kept", "the id was taken"),  # reason: the public converter's names differ
        ({"landmarks": [1, 2, 2]}, "kept", "expected 24"),  # reason: the box is still good
        ({"segmentation": [[1, 2, 3, 4]]}, "kept", "three points"),  # reason: the box is still good
        ({"occlusion": 7}, "kept", "occlusion is 7"),  # reason: the box is still good
    ],
)
def test_what_is_wrong_with_an_item_is_reported(
    make_garment: Garment, changes: dict[str, Any], action: str, part: str
) -> None:
    content = {"pair_id": 1, "item1": make_garment(**changes), "item2": make_garment()}
    annotation, faults = parse_annotation(KEY, content)
    (fault,) = faults
    assert (fault.key, fault.where, fault.action) == (KEY, "item1", action)
    assert part in fault.reason
    assert [item.number for item in annotation.items] == ([2] if action == "dropped" else [1, 2])


def test_a_missing_key_is_named(make_garment: Garment) -> None:
    broken = make_garment()
    del broken["bounding_box"]
    _, (fault,) = parse_annotation(KEY, {"pair_id": 1, "item1": broken})
    assert fault.reason == "bounding_box is missing"


def test_an_item_that_is_no_object_is_reported() -> None:
    annotation, (fault,) = parse_annotation(KEY, {"pair_id": 1, "item1": "skirt"})
    assert annotation.items == ()
    assert fault.action == "dropped"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "not readable as JSON"),  # reason: cut short
        ("[]", "expected a JSON object"),  # reason: another shape
        ('{"source": "user", "pair_id": 1}', "has no item"),  # reason: nothing to learn from
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    dataset: Path, add_image: Callable[..., None], text: str, part: str
) -> None:
    add_image("000001", text=text)
    with pytest.raises(BrokenAnnotation, match=part.replace("[", r"\[")):
        read_annotation(dataset, KEY)


def test_an_image_without_annotation_says_so(dataset: Path) -> None:
    with pytest.raises(BrokenAnnotation, match="no annotation"):
        read_annotation(dataset, KEY)
