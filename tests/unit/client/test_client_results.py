"""`Detections` in the hands of those who look through them."""

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client import Detections, InvalidRequest, Timings
from tests.unit.client.made_results import make_found, results

EDGES = {"skirt": [0, 0, 10, 10], "belt": [100, 100, 300, 150], "dress": [50, 0, 400, 480]}


@pytest.fixture
def outfit() -> Detections:
    """A skirt of 100 pixels, a belt of 10,000 and a dress of 168,000, with scores 0.9, 0.5 and 0.25."""
    return make_found(
        list(EDGES.values()),
        scores=[0.9, 0.5, 0.25],
        class_ids=[8, 2, 0],
        names=list(EDGES),
    )


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({}, ["skirt", "belt", "dress"]),  # reason: no condition, all stay
        ({"confidence": 0.5}, ["skirt", "belt"]),  # reason: the bound itself is good enough
        ({"confidence": np.float32(0.9)}, ["skirt"]),  # reason: the score of a result is a confidence
        ({"confidence": 0.9}, ["skirt"]),  # reason: 0.9 in 64 bits is not below 0.9 in 32
        ({"classes": "belt"}, ["belt"]),  # reason: one name needs no list
        ({"classes": 8}, ["skirt"]),  # reason: nor does one id
        ({"classes": ["belt", 0]}, ["belt", "dress"]),  # reason: names and ids mixed
        ({"classes": np.array([8, 0])}, ["skirt", "dress"]),  # reason: ids as NumPy gives them
        ({"classes": []}, []),  # reason: none of the classes
        ({"classes": ["hat"]}, []),  # reason: a class that was not found
        ({"exclude": ["belt", 8]}, ["dress"]),  # reason: all but these
        ({"classes": ["belt", "skirt"], "exclude": "belt"}, ["skirt"]),  # reason: both conditions hold
        ({"min_area": 10_000}, ["belt", "dress"]),  # reason: the bound itself is large enough
        ({"max_area": 10_000}, ["skirt", "belt"]),
        ({"min_area": 101, "max_area": 20_000}, ["belt"]),
        ({"region": (0, 0, 210, 130)}, ["skirt", "belt"]),  # reason: the belt's middle (200, 125) lies in it
        ({"region": (0, 0, 199, 130)}, ["skirt"]),
        ({"max_detections": 1}, ["skirt"]),
        ({"max_detections": 1, "exclude": "skirt"}, ["belt"]),  # reason: counted after the other conditions
    ],
)
def test_what_a_filter_leaves(outfit: Detections, conditions: dict[str, Any], names: list[str]) -> None:
    chosen = outfit.filter(**conditions)
    assert chosen.names.tolist() == names
    assert chosen.boxes.tolist() == [EDGES[name] for name in names]
    assert (chosen.model, chosen.image_size) == (outfit.model, outfit.image_size)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"confidence": 40}, "confidence is from 0 to 1, not 40"),
        ({"classes": [1.5]}, "a class is a name or an id from 0, not 1.5"),
        ({"min_area": 9, "max_area": 3}, "not from 9 to 3"),
        ({"region": (5, 0, 1, 1)}, "left, top, right, bottom"),
        ({"max_detections": 0}, "max_detections is at least 1, not 0"),
    ],
)
def test_a_condition_that_nothing_can_meet_is_refused(
    outfit: Detections, conditions: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        outfit.filter(**conditions)


@given(results(), st.floats(0, 1), st.lists(st.integers(0, 4)), st.integers(1, 5), st.floats(0, 1e6))
def test_a_filter_leaves_a_part_in_the_same_order(
    found: Detections, confidence: float, classes: list[int], most: int, area: float
) -> None:
    chosen = found.filter(confidence=confidence, classes=classes, max_detections=most, min_area=area)
    everything = iter(found)
    assert all(any(one == other for other in everything) for one in chosen)
    assert chosen.filter(confidence=confidence, classes=classes, max_detections=most, min_area=area) == chosen
    assert set(chosen.class_ids.tolist()) <= set(classes)


def test_how_many_of_each() -> None:
    found = make_found([[0, 0, 1, 1]] * 4, names=["b", "a", "c", "c"])
    assert list(found.counts().items()) == [("c", 2), ("a", 1), ("b", 1)]
    assert Detections.empty().counts() == {}


@given(results())
def test_every_form_of_a_box_is_the_same_box(found: Detections) -> None:
    width, height = found.image_size
    near = {"rtol": 1e-5, "atol": 1e-3}
    left, top, wide, high = found.xywh.T
    np.testing.assert_allclose(np.stack((left, top, left + wide, top + high), 1), found.boxes, **near)
    x, y, wide, high = found.cxcywh.T
    np.testing.assert_allclose(
        np.stack((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2), 1), found.boxes, **near
    )
    np.testing.assert_allclose(found.normalized * (width, height, width, height), found.boxes, **near)
    assert ((found.normalized >= 0) & (found.normalized <= 1)).all()
    np.testing.assert_allclose(found.areas, wide * high, rtol=1e-4, atol=1)
    np.testing.assert_allclose(found.centers, found.cxcywh[:, :2], **near)
    forms = (found.xywh, found.cxcywh, found.normalized, found.areas, found.centers)
    assert {form.dtype for form in forms} == {np.dtype(np.float32)}


def test_boxes_without_an_image_are_no_fractions_of_it() -> None:
    with pytest.raises(ValueError, match="0x480"):
        print(make_found(image_size=(0, 480)).normalized)
    assert Detections.empty().normalized.shape == (0, 4)


def test_membership_is_by_name_id_or_detection(outfit: Detections) -> None:
    assert "belt" in outfit
    assert "hat" not in outfit
    assert 8 in outfit
    assert np.int32(1) not in outfit
    assert outfit[0] in outfit
    assert outfit[0] not in outfit[1:]


def test_nothing_found_is_false() -> None:
    assert not Detections.empty((4, 4))
    assert make_found()
    assert Detections.empty((4, 4)).ok is True
    assert make_found().unwrap() == make_found()


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({}, True),
        ({"timings": Timings(total_ns=5)}, True),  # reason: how long it took is not what was found
        ({"request_id": "r-2"}, True),
        ({"image": "there.jpg"}, True),
        ({"scores": [0.9, 0.6]}, False),
        ({"boxes": [[0, 0, 1, 1], [2, 2, 3, 3]]}, False),
        ({"names": ["a", "b"]}, False),
        ({"class_ids": [7, 7]}, False),
        ({"image_size": (640, 481)}, False),
        ({"version": "4"}, False),
        ({"frame_index": 1}, False),
        ({"origin": "b.jpg"}, False),
        ({"timestamp_s": 1.5}, False),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else None,
)
def test_equal_is_what_found_the_same_on_the_same(change: dict[str, Any], equal: bool) -> None:
    assert (make_found() == make_found(**change)) is equal
    assert make_found() != "found"


def test_lengths_that_differ_are_not_equal() -> None:
    assert make_found() != make_found()[:1]
    with pytest.raises(TypeError, match="unhashable"):
        hash(make_found())


@pytest.mark.parametrize("name", ["boxes", "scores", "class_ids", "names"])
@pytest.mark.parametrize("make", [make_found, lambda: make_found()[[1, 0]], lambda: copy.deepcopy(make_found())])
def test_arrays_cannot_be_written_to(name: str, make: Any) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(make(), name)[0] = 0


def test_the_arrays_that_it_was_made_of_stay_as_they_were() -> None:
    scores = np.array([0.9, 0.5], np.float32)
    make_found(scores=scores)
    scores[0] = 1
    assert scores[0] == 1


def test_lists_become_arrays() -> None:
    found = Detections([[1, 2, 3, 4]], [0.5], [3], ["belt"], (9, 9))  # type: ignore[arg-type]
    assert (found.boxes.dtype, found.class_ids.dtype) == (np.float32, np.int32)
    assert found[0].name == "belt"
    assert Detections([], [], [], [], (9, 9)) == Detections.empty((9, 9))  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [b"123", memoryview(b"123"), "a.jpg", np.zeros((2, 2, 3), np.uint8)])
def test_results_go_through_pickle(image: Any) -> None:
    found = make_found(origin="a.jpg", frame_index=3, timestamp_s=0.5, image=image, request_id="r", channels="BGR")
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    assert again.channels == "BGR"
    assert again.request_id == "r"
    assert np.array_equal(again.image, bytes(image) if isinstance(image, memoryview) else image)
    with pytest.raises(ValueError, match="read-only"):
        again.scores[0] = 1


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "<Detections by garments/3 on 640x480: 2 [skirt 0.90, trousers 0.50]>"),
        ({"origin": "a.jpg", "frame_index": 3}, "<Detections by garments/3 on a.jpg, 640x480: 2 "),
        ({"origin": "c.mp4", "frame_index": 3, "timestamp_s": 0.1}, "<Detections by garments/3 on frame 3 of c.mp4, "),
        ({"frame_index": 3, "model": ""}, "<Detections on frame 3, 640x480: 2 ["),
        ({"image": np.zeros((480, 640, 3), np.uint8)}, "<Detections by garments/3 on 640x480: 2 [skirt"),
    ],
    ids=["still", "a file of many", "of a video", "of a stream", "pixels are not shown"],
)
def test_repr_says_what_was_found_where(fields: dict[str, Any], shown: str) -> None:
    assert repr(make_found(**fields)).startswith(shown)


def test_repr_of_many_is_short() -> None:
    assert repr(make_found([[0, 0, 1, 1]] * 900)).endswith("0.90, … 895 more]>")


def test_a_changed_copy() -> None:
    assert replace(make_found(), origin="x").origin == "x"
