"""Pixels that a backend scales and transposes itself are detected as the values that the server would have made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends import BackendOptions, load_backend
from pasarela_server.detection.image import decode_image
from pasarela_server.detection.yolo import DetectOptions, YoloDetector

SAMPLES = Path(__file__).parents[2] / "docs/images/samples"


@pytest.mark.parametrize(
    ("model", "pixels", "score"),
    [
        ("garments_openvino", 1.0, 0.02),  # reason: the default precision of the CPU: half of a float's digits on some
        ("garments_int8", 2.0, 0.05),  # reason: a value between two of 256 steps may fall to either side
    ],
)
def test_detections_on_photographs_are_the_same(repository: Path, model: str, pixels: float, score: float) -> None:
    options = BackendOptions(instances=1, threads=1)
    backend = load_backend("openvino", repository / model / "1/model.xml", options)
    with_pixels = YoloDetector.from_spec(backend.spec)
    assert with_pixels is not None
    assert with_pixels.takes_pixels
    session = backend.session()
    compared = 0
    for sample in sorted(SAMPLES.glob("*.jpg")):
        image = decode_image(sample.read_bytes())
        found = []
        for detector in (with_pixels, replace(with_pixels, takes_pixels=False)):
            array, letterbox = detector.preprocess(image)
            assert array.dtype == (np.uint8 if detector.takes_pixels else np.float32)
            head = session.infer({detector.input_name: array})[detector.output_name][0]
            found.append(detector.postprocess(head, letterbox, DetectOptions(confidence=0.4)))
        ours, theirs = found
        assert np.array_equal(ours.class_ids, theirs.class_ids), sample.name
        assert np.abs(ours.boxes - theirs.boxes).max(initial=0) <= pixels * max(image.shape[:2]) / 100
        assert np.abs(ours.scores - theirs.scores).max(initial=0) <= score
        compared += len(ours)
    assert compared > 0
