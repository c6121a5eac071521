"""Our reading of the raw head is Ultralytics', and our suppression is torchvision's.

Coordinates are quarters of a pixel, so that Ultralytics' class offset loses nothing in single precision, and the
threshold is no fraction that small boxes can hit: what is compared is the rule, not the rounding.
"""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.nms import suppress
from pasarela_server.detection.yolo import DetectOptions, Layout, YoloDetector
from pasarela_server.tensor import DataType

IOU = 0.69314
seeds = st.integers(0, 2**32 - 1)


def head(seed: int, classes: int, anchors: int, objects: int) -> np.ndarray:
    """An output (4 + classes, anchors) like a trained network's: faint noise, and clusters around objects."""
    random = np.random.default_rng(seed)
    output = np.empty((4 + classes, anchors), np.float32)
    output[:2] = random.integers(0, 4 * 320, (2, anchors)) / 4
    output[2:4] = random.integers(8, 4 * 200, (2, anchors)) / 2
    output[4:] = random.uniform(0, 0.05, (classes, anchors))
    for _ in range(objects):
        near = random.choice(anchors, 12, replace=False)
        centre, size, label = random.integers(200, 1080, 2), random.integers(80, 300, 2), random.integers(classes)
        output[:2, near] = (centre[:, None] + random.integers(-20, 20, (2, 12))) / 4
        output[2:4, near] = (size[:, None] + random.integers(-20, 20, (2, 12))) / 2
        output[4 + label, near] = random.uniform(0.1, 0.95, 12)
    return output


@settings(deadline=None, max_examples=60)
@given(seeds, st.sampled_from([(13, 2100), (80, 8400), (1, 300)]), st.integers(0, 25))
def test_postprocess_is_ultralytics_non_max_suppression(seed: int, shape: tuple[int, int], objects: int) -> None:
    from ultralytics.utils.nms import non_max_suppression

    classes, anchors = shape
    output = head(seed, classes, anchors, objects)
    names = tuple(str(label) for label in range(classes))
    detector = YoloDetector("images", "output0", names, (320, 320), 32, DataType.FP32, Layout.ANCHORS)
    everything = Letterbox((4000, 4000), (4000, 4000), (4000, 4000), -1000, -1000)  # undone by a shift: clips nothing
    ours = detector.postprocess(output, everything, DetectOptions(0.25, IOU, 20))
    (theirs,) = non_max_suppression(torch.from_numpy(output)[None], 0.25, IOU, max_det=20)
    expected = theirs.numpy()
    assert np.array_equal(ours.boxes - 1000, expected[:, :4])
    assert np.array_equal(ours.scores, expected[:, 4])
    assert np.array_equal(ours.class_ids, expected[:, 5])


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(1, 400), st.integers(1, 13), st.integers(1, 60))
def test_suppression_is_torchvisions(seed: int, count: int, classes: int, limit: int) -> None:
    from torchvision.ops import batched_nms

    random = np.random.default_rng(seed)
    corners = random.integers(-100, 900, (count, 2))
    boxes = (np.concatenate((corners, corners + random.integers(40, 400, (count, 2))), axis=1) / 4).astype(np.float32)
    scores = random.permutation(count).astype(np.float32) / count + 0.01
    class_ids = random.integers(0, classes, count)
    theirs = batched_nms(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(class_ids), 0.43219)
    ours = suppress(boxes, scores, class_ids, iou=0.43219, limit=limit)
    assert ours.tolist() == theirs.tolist()[:limit]
