import pickle
from typing import Any

import grpc
import numpy as np
import pytest

from pasarela_client import Detections, FrameDropped, FrameError, PasarelaError, QueueFull
from tests.unit.client.made_results import make_found


def failed(**fields: Any) -> FrameError:
    error = QueueFull("too much to do", model="garments", status=grpc.StatusCode.UNAVAILABLE, request_id="r-1")
    return FrameError(**{"frame_index": 3, "error": error, "origin": "a.jpg", **fields})


def test_results_and_errors_are_told_apart_in_one_word() -> None:
    kinds = [type(result) for result in (make_found(), failed()) if result.ok]
    assert kinds == [Detections]


def test_an_error_is_false_as_is_a_result_that_found_nothing() -> None:
    assert not failed()
    assert [bool(result) for result in (make_found(), Detections.empty(), failed())] == [True, False, False]


def test_unwrap_raises_the_error_itself() -> None:
    result = failed()
    with pytest.raises(QueueFull, match="too much") as raised:
        result.unwrap()
    assert raised.value is result.error


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({}, True),
        ({"image": np.zeros((2, 2, 3), np.uint8)}, True),  # reason: what happened is the same
        ({"frame_index": 4}, False),
        ({"origin": "b.jpg"}, False),
        ({"timestamp_s": 1.0}, False),
        ({"error": QueueFull("another reason")}, False),
        ({"error": FrameDropped("too much to do", model="garments")}, False),
    ],
    ids=["nothing", "image", "index", "origin", "time", "message", "kind"],
)
def test_equal_is_what_happened_to_the_same(change: dict[str, Any], equal: bool) -> None:
    assert (failed() == failed(**change)) is equal
    assert len({failed(), failed(**change)}) == (1 if equal else 2)
    assert failed() != "failed"


def test_errors_go_through_pickle() -> None:
    again = pickle.loads(pickle.dumps(failed()))
    assert again == failed()
    assert (again.error.request_id, again.error.status) == ("r-1", grpc.StatusCode.UNAVAILABLE)


def test_repr_says_what_happened_and_shows_no_pixels() -> None:
    assert repr(failed(image=np.zeros((9, 9, 3), np.uint8))) == "<FrameError of a.jpg: QueueFull: too much to do>"
    assert repr(failed(origin="")).startswith("<FrameError of frame 3: ")
    assert repr(failed(timestamp_s=1.0)).startswith("<FrameError of frame 3 of a.jpg: ")


def test_round_trip_through_a_dictionary() -> None:
    again = FrameError.from_dict(failed(timestamp_s=0.5).to_dict())
    assert again == failed(timestamp_s=0.5)
    assert again.error.request_id == "r-1"


def test_the_error_of_a_newer_client_is_an_error_all_the_same() -> None:
    content = failed().to_dict()
    content["error"]["kind"] = "re"  # reason: a name that the module has, and that is no error
    again = FrameError.from_dict(content)
    assert type(again.error) is PasarelaError
    assert again.error.message == "too much to do"


@pytest.mark.parametrize(
    "content", [{}, {"error": {}}, {"error": "x", "frame_index": 1}, {"error": {"kind": "QueueFull"}}]
)
def test_what_to_dict_did_not_write_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no error that to_dict wrote"):
        FrameError.from_dict(content)
