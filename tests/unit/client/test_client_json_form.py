import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client import Detections, Timings
from pasarela_client.boxes import shortest_floats
from tests.unit.client.made_results import make_found, results


@given(results())
def test_a_result_comes_back_equal_from_json(found: Detections) -> None:
    again = Detections.from_json(found.to_json())
    assert again == found
    assert again.request_id == found.request_id


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_the_shortest_decimals_are_the_same_32_bits(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    assert np.array(shortest_floats(values), np.float32).tolist() == values.tolist()


def test_numbers_are_written_as_people_would() -> None:
    content = make_found([[0.1, 0.2, 100.7, 9.3]], scores=[0.3]).to_dict()
    assert content["detections"] == [{"name": "skirt", "class_id": 0, "score": 0.3, "box": [0.1, 0.2, 100.7, 9.3]}]
    assert make_found([[0.1, 0.2, 100.7, 9.3]], scores=[0.3])[0].to_dict() == content["detections"][0]


def test_what_is_not_known_is_left_out() -> None:
    assert set(make_found().to_dict()) == {"model", "version", "width", "height", "detections", "server_ms"}
    known = make_found(origin="c.mp4", frame_index=0, timestamp_s=0.0, request_id="r").to_dict()
    assert [known[key] for key in ("origin", "frame_index", "timestamp_s", "request_id")] == ["c.mp4", 0, 0.0, "r"]


def test_timings_are_added_on_demand_and_come_back() -> None:
    timings = Timings(infer_ns=5, total_ns=9, batch_size=2, close_reason="full")
    found = make_found(timings=timings)
    assert "timings" not in found.to_dict()
    assert Detections.from_json(found.to_json(timings=True)).timings == timings


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        "{}",
        '{"detections": 3}',
        '{"detections": [{}]}',
        '{"detections": [{"name": "a", "class_id": 1, "score": 0.5, "box": [1, 2]}], "width": 1, "height": 1, "model": ""}',
        '{"detections": [], "width": 1, "height": 1, "model": "", "version": "", "timings": {"warp_ns": 1}}',
        '{"detections": [{"name": "a", "class_id": 4294967296, "score": 0.5, "box": [1, 2, 3, 4]}]}',
        '{"detections": [], "width": Infinity, "height": 1, "model": "", "version": ""}',
        '{"detections": [',
    ],
    ids=[
        *("list", "number", "empty", "no list", "no fields", "half a box", "unknown stage"),
        *("no 32 bits", "endless", "cut short"),
    ],
)
def test_what_to_json_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Detections.from_json(text)


def test_json_is_one_line_in_plain_letters() -> None:
    content: Any = make_found([[0, 0, 1, 1]], names=["Jäckchen\n🧥"])
    line = content.to_json()
    assert "\n" not in line
    assert "Jäckchen" in line
    assert json.loads(line)["detections"][0]["name"] == "Jäckchen\n🧥"
