import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_training.dataset.records import FAULT_KINDS, Annotation, BrokenAnnotation, Fault, ImageKey
from pasarela_training.dataset.sources.deepfashion2 import DeepFashion2Source, parse_annotation

KEY = ImageKey("train", "000001")
Garment = Callable[..., dict[str, Any]]


def read(dataset: Path) -> tuple[Annotation, list[Fault]]:
    source = DeepFashion2Source(dataset)
    (entry,), _ = source.entries(("train",))
    return source.read(entry)


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
        ({"category_id": True}, "dropped", "category_id is True"),  # reason: JSON's true equals 1 in Python
        ({"bounding_box": [10, 20, 40, True]}, "dropped", "True"),  # reason: the same of corners
        ({"bounding_box": [10, 20, 10**400, 80]}, "dropped", "too large"),  # reason: no float holds it
        ({"bounding_box": [10, 20, float("inf"), 80]}, "dropped", "finite"),  # reason: Python's JSON reads Infinity
        ({"segmentation": 7}, "kept", "expected a list of polygons"),  # reason: no list
        ({"segmentation": [[1, 2, 3, 4, 5, "x"]]}, "kept", "expected a number"),  # reason: text in a polygon
        ({"segmentation": [7]}, "kept", "no polygon"),  # reason: a number where a polygon belongs
        ({"landmarks": [float("nan")] * 24}, "kept", "finite"),  # reason: the box is still good
        ({"landmarks": 3}, "kept", "expected a list"),  # reason: no list
        ({"style": -1}, "kept", "style is -1"),  # reason: they count from 0
        ({"occlusion": True}, "kept", "occlusion is True"),  # reason: JSON's true equals 1 in Python
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
    assert fault.kind in FAULT_KINDS
    assert fault.kind != "other"
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
        ("[" * 5000, "not readable as JSON"),  # reason: too deep for any reader
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
        read(dataset)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b'{"pair_id": 1, "item1": "\xff"}', "not readable as JSON"),  # reason: not UTF-8
        (b'{"pair_id": 1, "source": "\\ud800"}', "not readable as JSON"),  # reason: half a character
        (b"\xff\xfe", "not readable as JSON"),  # reason: half a byte order mark of UTF-16
        (None, "no annotation"),  # reason: gone since it was listed
    ],
)
def test_bytes_that_are_no_text_say_why(
    dataset: Path, add_image: Callable[..., None], content: bytes | None, part: str
) -> None:
    add_image("000001", text="{}")
    (entry,), _ = DeepFashion2Source(dataset).entries(("train",))
    place = dataset / "train" / "annos" / "000001.json"
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(BrokenAnnotation, match=part):
        DeepFashion2Source(dataset).read(entry)


def test_one_number_that_is_none_costs_one_item(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment
) -> None:
    add_image("000001", make_garment(bounding_box=[float("nan"), 0, 1, 1]), make_garment())
    annotation, (fault,) = read(dataset)
    assert [item.number for item in annotation.items] == [2]
    assert (fault.where, fault.kind) == ("item1", "bad value")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["category_id", "bounding_box", "landmarks", "segmentation", "style", "scale"]), anything
    ),
    anything,
)
def test_nothing_that_json_can_hold_breaks_the_reader(changes: dict[str, Any], pair_id: Any) -> None:
    good = {"category_id": 9, "bounding_box": [1, 2, 3, 4], "category_name": "skirt"}
    annotation, faults = parse_annotation(KEY, {"pair_id": pair_id, "item1": good | changes, "item2": pair_id})
    assert len(annotation.items) + sum(fault.action == "dropped" for fault in faults) == 2


def test_a_name_that_is_no_text_is_a_fault(dataset: Path) -> None:
    place = os.fsencode(dataset / "train" / "image") + b"/\xff.jpg"
    with open(place, "wb"):
        pass
    entries, (fault,) = DeepFashion2Source(dataset).entries(("train",))
    assert (entries, str(fault.key)) == ([], "train/\\udcff")
