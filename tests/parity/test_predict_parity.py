"""On the models of the repository: Ultralytics' own predictor, and the three variants among each other."""

from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends import Backend, BackendOptions, load_backend
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_server.tensor import Array

ARTEFACTS = {
    "onnxruntime": "garments_onnx/1/model.onnx",
    "openvino": "garments_openvino/1/model.xml",
    "pytorch": "garments_pytorch/1/model.pt",
}
IN_SINGLE_PRECISION = {"openvino": {"precision": "f32"}}
COMPARED = 60
"""Anchors with the best scores: whatever the weights, there are some."""


def load(repository: Path, name: str) -> tuple[Backend, YoloDetector]:
    options = BackendOptions(instances=1, threads=1, parameters=IN_SINGLE_PRECISION.get(name, {}))
    backend = load_backend(name, repository / ARTEFACTS[name], options)
    detector = YoloDetector.from_spec(backend.spec)
    assert detector is not None
    return backend, detector


def raw_head(backend: Backend, detector: YoloDetector, picture: np.ndarray) -> Array:
    array, _ = detector.preprocess(picture)
    return backend.session().infer({detector.input_name: array})[detector.output_name][0]


def test_boxes_are_those_of_ultralytics_predict(repository: Path, picture: np.ndarray) -> None:
    from ultralytics import YOLO

    artefact = repository / ARTEFACTS["onnxruntime"]
    backend, detector = load(repository, "onnxruntime")
    output = raw_head(backend, detector, picture)
    confidence = 0.999 * float(min(np.sort(output[4:].max(axis=0))[-COMPARED], 0.25))
    _, letterbox = detector.preprocess(picture)
    ours = detector.postprocess(output, letterbox, DetectOptions(confidence, 0.7, 300))
    (result,) = YOLO(artefact, task="detect").predict(
        picture[:, :, ::-1], imgsz=list(detector.image_size), rect=False, conf=confidence, iou=0.7, max_det=300,
        device="cpu", verbose=False, save=False,
    )  # fmt: skip
    theirs = result.boxes.data.numpy()
    assert len(ours) == len(theirs) > 0
    assert result.names == dict(enumerate(detector.names))
    assert np.allclose(ours.boxes, theirs[:, :4], atol=0.05)
    assert np.allclose(ours.scores, theirs[:, 4], atol=1e-4)
    assert np.array_equal(ours.class_ids, theirs[:, 5])


@pytest.mark.parametrize("name", ["openvino", "pytorch"])
def test_variants_give_the_same_raw_head(repository: Path, picture: np.ndarray, name: str) -> None:
    reference = raw_head(*load(repository, "onnxruntime"), picture)
    backend, detector = load(repository, name)
    output = raw_head(backend, detector, picture)
    args = backend.spec.metadata["args"]
    assert isinstance(args, dict)
    pixels, score = (2.0, 0.02) if args.get("quantize") == 16 else (0.05, 1e-4)
    best = np.argsort(-reference[4:].max(axis=0))[:COMPARED]
    assert output.shape == reference.shape
    assert np.abs(output[:4, best] - reference[:4, best]).max() <= pixels
    assert np.abs(output[4:, best] - reference[4:, best]).max() <= score


@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_a_batch_answers_as_its_images_do_alone(repository: Path, picture: np.ndarray, name: str) -> None:
    backend, detector = load(repository, name)
    session = backend.session()
    pictures = [picture, picture[:, ::-1], picture[::-1]]
    arrays = [detector.preprocess(np.ascontiguousarray(one))[0] for one in pictures]
    together = session.infer({detector.input_name: np.concatenate(arrays)})[detector.output_name]
    for row, array in zip(together, arrays, strict=True):
        alone = session.infer({detector.input_name: array})[detector.output_name][0]
        best = np.argsort(-alone[4:].max(axis=0))[:COMPARED]
        assert np.abs(row[:4, best] - alone[:4, best]).max() <= 0.05
        assert np.abs(row[4:, best] - alone[4:, best]).max() <= 1e-4
