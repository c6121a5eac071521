from typing import Any

import pytest

from pasarela_client import InvalidRequest
from pasarela_client.codec import encode_options
from pasarela_client.options import DetectOptions
from pasarela_proto import detection_pb2 as pb


def test_what_is_left_out_stays_unset_on_the_wire() -> None:
    message = encode_options(DetectOptions.of())
    assert message.ByteSize() == 0
    assert message == pb.DetectOptions()


def test_zero_is_not_the_same_as_left_out() -> None:
    message = encode_options(DetectOptions.of(confidence=0, iou=0))
    assert message.HasField("confidence")
    assert message.HasField("iou")


def test_all_options_travel() -> None:
    message = encode_options(DetectOptions.of(confidence=0.5, iou=0.25, classes=["skirt", 3, "vest"], max_detections=7))
    assert (message.confidence, message.iou, message.max_detections) == (0.5, 0.25, 7)
    assert list(message.class_names) == ["skirt", "vest"]
    assert list(message.class_ids) == [3]


def test_a_single_name_is_one_class_and_not_its_letters() -> None:
    assert DetectOptions.of(classes="skirt").class_names == ("skirt",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.01}, "confidence is from 0 to 1, not 1.01"),
        ({"confidence": -0.1}, "confidence"),
        ({"iou": float("nan")}, "iou is from 0 to 1, not nan"),
        ({"max_detections": 0}, "at least 1, not 0"),
        ({"classes": [-1]}, "-1"),
        ({"classes": [0.5]}, "0.5"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        DetectOptions.of(**options)
