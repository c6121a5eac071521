"""The pipeline that the peers run does what Pasarela does: else they would be compared in different work."""

from pathlib import Path

import numpy as np
import pytest

from loadtest.benchmark.variant import Variant
from loadtest.peers.pipeline import CONFIDENCE, IOU, Pipeline
from pasarela_server.detection.image import decode_image
from pasarela_server.detection.yolo import DetectOptions


@pytest.fixture(scope="module")
def variant(repository: Path) -> Variant:
    return Variant.load(repository / "garments_openvino")


@pytest.mark.parametrize("style", ["tuned", "plain"])
def test_peers_find_the_same_boxes(style: str, variant: Variant, sample_image: Path) -> None:
    image = sample_image.read_bytes()
    pixels, letterbox = variant.detector.preprocess(decode_image(image))
    output = variant.sessions[0].infer({variant.detector.input_name: pixels})[variant.detector.output_name][0]
    ours = variant.detector.postprocess(output, letterbox, DetectOptions(confidence=CONFIDENCE, iou=IOU))
    peer = Pipeline(str(variant.artefact), variant.detector.image_size[0], style, threads=1)
    (alone,) = peer.detect([image])
    assert len(alone) == len(ours.scores) > 0
    order = np.argsort(-alone[:, 4], kind="stable")
    np.testing.assert_allclose(alone[order][:, :4], ours.boxes, atol=3)
    np.testing.assert_allclose(alone[order][:, 4], ours.scores, atol=0.05)
    assert [int(number) for number in alone[order][:, 5]] == ours.class_ids.tolist()
    for one in peer.detect([image, image]):
        np.testing.assert_allclose(one, alone, atol=0.5)
