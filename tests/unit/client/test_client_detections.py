import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pasarela_client import Detection, Detections, Frame, FrameError, ModelNotFound, ServerFailure
from pasarela_client.codec import decode_frame, decode_response
from pasarela_proto import detection_pb2 as pb


def test_an_answer_becomes_arrays(make_answer: Callable[..., pb.DetectResponse]) -> None:
    found = decode_response(make_answer(name="skirt", score=0.5))
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.class_ids.dtype == np.int32
    assert found.boxes.tolist() == [[10, 20, 110, 220]]
    assert (found.image_size, found.model, found.version) == ((640, 480), "garments", "3")
    assert (found.timings.total_ms, found.timings.batch_size) == (3.0, 4)
    assert found[0] == Detection((10, 20, 110, 220), 0.5, 8, "skirt")


def test_an_answer_without_detections_has_arrays_of_the_right_shape() -> None:
    found = decode_response(pb.DetectResponse(image_width=4, image_height=2))
    assert found.boxes.shape == (0, 4)
    assert len(found) == 0
    assert found.image_size == (4, 2)


@pytest.mark.parametrize(
    "lists",
    [
        pb.Detections(boxes=[1, 2, 3, 4], scores=[0.5], class_ids=[1]),
        pb.Detections(boxes=[1, 2, 3], scores=[0.5], class_ids=[1], class_names=["a"]),
        pb.Detections(boxes=[1, 2, 3, 4], scores=[0.5, 0.4], class_ids=[1], class_names=["a"]),
    ],
    ids=["a name is missing", "half a box", "a score too many"],
)
def test_an_answer_that_makes_no_sense_is_the_servers_fault(lists: pb.Detections) -> None:
    with pytest.raises(ServerFailure, match="makes no sense"):
        decode_response(pb.DetectResponse(detections=lists))


def test_the_error_of_a_frame_is_a_value() -> None:
    frame = pb.StreamDetectResponse(frame_index=7, error=pb.FrameError(code=5, message="no model 'x'"))
    result = decode_frame(frame, Frame(b"jpeg", "a.jpg"), url="there:1", model="x")
    assert isinstance(result, FrameError)
    assert (result.frame_index, type(result.error), str(result.error)) == (7, ModelNotFound, "no model 'x'")
    assert (result.origin, result.image) == ("a.jpg", b"jpeg")


def test_a_code_that_nobody_knows_is_a_failure() -> None:
    frame = pb.StreamDetectResponse(error=pb.FrameError(code=99, message="odd"))
    result = decode_frame(frame, Frame(b"jpeg", "a.jpg"), url="there:1", model="x")
    assert isinstance(result, FrameError)
    assert type(result.error) is ServerFailure


def test_a_frame_answered_with_nothing_is_a_failure() -> None:
    result = decode_frame(pb.StreamDetectResponse(frame_index=3), Frame(b"jpeg"), url="there:1", model="x")
    assert isinstance(result, FrameError)
    assert isinstance(result.error, ServerFailure)
    assert "frame 3" in str(result.error)


def test_an_answer_to_a_frame_whose_lists_disagree_is_its_failure() -> None:
    nonsense = pb.DetectResponse(detections=pb.Detections(scores=[0.5]))
    answer = pb.StreamDetectResponse(frame_index=3, response=nonsense)
    result = decode_frame(answer, Frame(b"jpeg"), url="there:1", model="x")
    assert isinstance(result, FrameError)
    assert isinstance(result.error, ServerFailure)


def test_iteration_and_negative_index(found: Detections) -> None:
    assert [one.name for one in found] == ["skirt", "trousers", "trousers"]
    assert list(found[-1].box) == [0, 300, 90, 480]
    with pytest.raises(IndexError):
        repr(found[3])


@pytest.mark.parametrize(
    ("select", "scores"),
    [
        (lambda found: found.scores > 0.5, [0.9, 0.75]),
        (lambda found: found.names == "trousers", [0.75, 0.25]),
        (lambda found: slice(1), [0.9]),
        (lambda found: np.array([2, 0]), [0.25, 0.9]),
        (lambda found: [False, True, False], [0.75]),
        (lambda found: [], []),
        (lambda found: found.scores > 1, []),
    ],
    ids=["by score", "by name", "slice", "indices", "list of bool", "empty list", "none"],
)
def test_a_selection_keeps_all_arrays_together(
    found: Detections, select: Callable[[Detections], Any], scores: list[float]
) -> None:
    chosen = found[select(found)]
    assert chosen.scores.tolist() == pytest.approx(scores)
    assert chosen.boxes.shape == (len(scores), 4)
    assert len(chosen.names) == len(chosen.class_ids) == len(scores)
    assert (chosen.model, chosen.image_size) == ("garments", (640, 480))


def test_json_round_trip(found: Detections) -> None:
    content = json.loads(found.to_json())
    assert (content["model"], content["version"], content["width"], content["height"]) == ("garments", "3", 640, 480)
    assert content["detections"] == found.to_dicts()
    assert found.to_dicts()[1] == {"name": "trousers", "class_id": 7, "score": 0.75, "box": [300, 100, 500, 400]}


def test_repr_says_what_was_found(found: Detections) -> None:
    assert repr(found) == "<Detections by garments/3 on 640x480: 3 [skirt 0.90, trousers 0.75, trousers 0.25]>"
    assert repr(Detections.empty((4, 2))) == "<Detections on 4x2: 0 []>"


def test_arrays_of_different_lengths_are_refused(found: Detections) -> None:
    with pytest.raises(ValueError, match="disagree in length"):
        Detections(found.boxes, found.scores[:2], found.class_ids, found.names, (1, 1))
