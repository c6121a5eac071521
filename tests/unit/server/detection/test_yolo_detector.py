"""Recognising a detector, feeding it, and reading its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.yolo import DetectOptions, Layout, YoloDetector
from pasarela_server.errors import InvalidModel, InvalidRequest
from pasarela_server.tensor import DataType, TensorSpec

METADATA: dict[str, object] = {
    "task": "detect",
    "names": {0: "vest", 1: "skirt", 2: "sling"},
    "stride": 32,
    "imgsz": [320, 320],
    "end2end": False,
    "args": {"nms": None},
}


@dataclass(frozen=True)
class Artefact:
    inputs: tuple[TensorSpec, ...] = (TensorSpec("images", DataType.FP32, (-1, 3, -1, -1)),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("output0", DataType.FP32, (-1, 7, -1)),)
    metadata: Mapping[str, object] = field(default_factory=lambda: METADATA)
    pixel_inputs: frozenset[str] = frozenset()


def detector(**changes: object) -> YoloDetector:
    found = YoloDetector.from_spec(Artefact())
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]


def with_metadata(**changes: object) -> Artefact:
    return Artefact(metadata={**METADATA, **changes})


def with_input(*shape: int, datatype: DataType = DataType.FP32) -> Artefact:
    return Artefact(inputs=(TensorSpec("images", datatype, shape),))


def with_output(*shape: int, **metadata: object) -> Artefact:
    return Artefact(outputs=(TensorSpec("out", DataType.FP32, shape),), metadata={**METADATA, **metadata})


def test_a_detector_is_recognised() -> None:
    assert detector() == YoloDetector(
        input_name="images",
        output_name="output0",
        names=("vest", "skirt", "sling"),
        image_size=(320, 320),
        stride=32,
        datatype=DataType.FP32,
        layout=Layout.ANCHORS,
    )


def test_models_without_a_task_are_none_of_its_business() -> None:
    assert YoloDetector.from_spec(with_metadata(task=None)) is None
    assert YoloDetector.from_spec(Artefact(metadata={})) is None


@pytest.mark.parametrize("task", ["segment", "pose", "obb", "classify", "a task of next year"])
def test_models_of_other_tasks_say_what_they_are(task: str) -> None:
    with pytest.raises(InvalidModel, match=f"its task is '{task}': it .*, and only models of the task 'detect' give"):
        YoloDetector.from_spec(with_metadata(task=task))


@pytest.mark.parametrize(
    ("artefact", "expected"),
    [
        pytest.param(with_metadata(imgsz=640), {"image_size": (640, 640)}, id="one number for both sides"),
        pytest.param(with_metadata(imgsz=[640]), {"image_size": (640, 640)}, id="a list of one"),
        pytest.param(with_metadata(imgsz=[256, 384]), {"image_size": (256, 384)}, id="height before width"),
        pytest.param(with_input(1, 3, 160, 192), {"image_size": (160, 192)}, id="fixed sizes win over imgsz"),
        pytest.param(with_metadata(names=["a", "b", "c"]), {"names": ("a", "b", "c")}, id="a list of names"),
        pytest.param(with_input(-1, 3, -1, -1, datatype=DataType.FP16), {"datatype": DataType.FP16}, id="half"),
        pytest.param(with_output(1, 300, 6, end2end=True), {"layout": Layout.ROWS}, id="suppressed by the network"),
        pytest.param(
            with_output(1, 300, 6, args={"nms": True}), {"layout": Layout.ROWS}, id="suppressed by the exporter"
        ),
        pytest.param(with_output(1, 300, 6), {"layout": Layout.SCALED_ROWS}, id="RT-DETR"),
        pytest.param(with_output(-1, -1, 6), {"layout": Layout.SCALED_ROWS}, id="RT-DETR of any size"),
        pytest.param(with_output(1, 300, 7), {"layout": Layout.SCALED_QUERIES}, id="RT-DETR of some years ago"),
        pytest.param(with_input(4, 3, -1, -1), {"rows": 4}, id="a batch that is fixed"),
        pytest.param(with_output(-1, -1, -1), {"output_name": "out"}, id="an output that does not say"),
    ],
)
def test_variants_are_recognised(artefact: Artefact, expected: dict[str, object]) -> None:
    found = YoloDetector.from_spec(artefact)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("artefact", "says"),
    [
        pytest.param(with_output(-1, 8, -1), "output of shape (batch, 7, anchors)", id="a class too many"),
        pytest.param(with_output(-1, 7), "(-1, 7)", id="two dimensions"),
        pytest.param(with_output(1, 7, 2100, end2end=True), "(batch, rows, 6)", id="claims to be suppressed"),
        pytest.param(with_input(-1, 1, -1, -1), "(batch, 3, height, width)", id="grey images"),
        pytest.param(with_input(-1, 3, 320), "(-1, 3, 320)", id="three dimensions"),
        pytest.param(with_input(-1, 3, -1, -1, datatype=DataType.UINT8), "UINT8", id="bytes"),
        pytest.param(with_input(1, 3, 300, 320), "not a multiple of its stride 32", id="beside the stride"),
        pytest.param(with_metadata(imgsz=None), "no imgsz", id="no size"),
        pytest.param(with_metadata(imgsz=["a", "b"]), "imgsz height", id="a size in letters"),
        pytest.param(with_metadata(names={}), "class names", id="no names"),
        pytest.param(with_metadata(names={0: "a", 2: "b"}), "class names", id="names with a gap"),
        pytest.param(with_metadata(stride=0), "stride", id="no stride"),
        pytest.param(Artefact(inputs=()), "0", id="no input"),
        pytest.param(Artefact(outputs=()), "no output", id="no output"),
    ],
)
def test_what_claims_to_be_a_detector_and_cannot_be_served_is_refused(artefact: Artefact, says: str) -> None:
    with pytest.raises(InvalidModel) as refusal:
        YoloDetector.from_spec(artefact)
    assert says in str(refusal.value)


@pytest.mark.parametrize("size", [(480, 384), (1, 1), (1, 5000), (320, 320)])
def test_preprocess_is_the_letterboxed_image_over_255(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    array, letterbox = detector().preprocess(image)
    expected = letterbox.apply(image).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    assert letterbox == Letterbox.fit(size, (320, 320))
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert np.array_equal(array, expected)


def test_preprocess_makes_what_the_network_takes() -> None:
    array, _ = detector(datatype=DataType.FP16, image_size=(64, 96)).preprocess(np.full((64, 96, 3), 255, np.uint8))
    assert array.dtype == np.float16
    assert array.shape == (1, 3, 64, 96)
    assert (array == 1).all()


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("takes_pixels", [True, False])
@pytest.mark.parametrize("datatype", [DataType.FP32, DataType.FP16])
def test_preprocess_writes_over_what_it_is_given(rows: int, takes_pixels: bool, datatype: DataType) -> None:
    made = detector(datatype=datatype, rows=rows, takes_pixels=takes_pixels)
    image = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
    expected, letterbox = made.preprocess(image)
    assert (expected.shape, expected.dtype) == (made.input_shape, made.input_dtype)
    place = np.full(made.input_shape, 7, made.input_dtype)
    array, placed = made.preprocess(image, into=place)
    assert array is place
    assert placed == letterbox
    assert np.array_equal(array, expected)


ALONE = Letterbox.fit((320, 320), (320, 320))


def answer(*columns: tuple[float, ...]) -> np.ndarray:
    """Anchors of (centre x, centre y, width, height, score per class), among others that find nothing."""
    output = np.zeros((7, 50), np.float32)
    output[:4] = 8
    for position, column in enumerate(columns):
        output[:, 7 * position + 3] = column
    return output


TWO = answer((100, 100, 40, 60, 0.1, 0.6, 0.2), (200, 200, 20, 20, 0.9, 0, 0))


def test_postprocess_reads_boxes_best_first() -> None:
    found = detector().postprocess(TWO, ALONE, DetectOptions())
    assert found.boxes.tolist() == [[190, 190, 210, 210], [80, 70, 120, 130]]
    assert np.allclose(found.scores, [0.9, 0.6])
    assert found.class_ids.tolist() == [0, 1]
    assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int32)


def test_postprocess_leaves_the_output_alone() -> None:
    output = TWO.copy()
    output.flags.writeable = False
    detector().postprocess(output, ALONE, DetectOptions())
    assert np.array_equal(output, TWO)


@pytest.mark.parametrize(
    ("options", "class_ids"),
    [
        pytest.param(DetectOptions(confidence=0.7), [0], id="above the threshold only"),
        pytest.param(DetectOptions(confidence=1.0), [], id="nothing above 1"),
        pytest.param(DetectOptions(max_detections=1), [0], id="the best only"),
        pytest.param(DetectOptions(class_ids=(1,)), [1], id="one class"),
        pytest.param(DetectOptions(class_ids=(1,), max_detections=1), [1], id="classes are chosen before the limit"),
        pytest.param(DetectOptions(class_ids=(2,)), [], id="an anchor has only its best class"),
        pytest.param(DetectOptions(class_ids=()), [], id="no class"),
    ],
)
def test_options_are_honoured(options: DetectOptions, class_ids: list[int]) -> None:
    assert detector().postprocess(TWO, ALONE, options).class_ids.tolist() == class_ids


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="class id 3 is unknown: the model knows 0 to 2"):
        detector().postprocess(TWO, ALONE, DetectOptions(class_ids=(0, 3)))


def test_boxes_come_back_through_the_letterbox() -> None:
    found = detector().postprocess(
        answer((160, 160, 80, 80, 0, 0, 0.9)), Letterbox.fit((480, 640), (320, 320)), DetectOptions()
    )
    assert found.boxes.tolist() == [[240, 160, 400, 320]]


def test_overlapping_boxes_of_one_class_are_suppressed() -> None:
    output = answer((100, 100, 40, 40, 0.8, 0, 0), (101, 100, 40, 40, 0.9, 0, 0), (100, 100, 40, 40, 0, 0.5, 0))
    found = detector().postprocess(output, ALONE, DetectOptions())
    assert found.class_ids.tolist() == [0, 1]
    assert found.boxes[0].tolist() == [81, 80, 121, 120]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_box_that_is_no_number_is_dropped_and_spoils_no_other(broken: float) -> None:
    output = answer((broken, 100, 40, 40, 0.9, 0, 0), (100, 100, 40, 40, 0.8, 0, 0), (101, 100, 40, 40, 0.7, 0, 0))
    found = detector().postprocess(output, ALONE, DetectOptions())
    assert found.boxes.tolist() == [[80, 80, 120, 120]]


def test_rows_of_an_end_to_end_network() -> None:
    rows = np.zeros((300, 6), np.float32)
    rows[:3] = [[10, 10, 20, 20, 0.3, 2], [10, 10, 20, 20, 0.9, 2], [30, 30, 400, 40, 0.5, 1]]
    found = detector(layout=Layout.ROWS).postprocess(rows, ALONE, DetectOptions())
    assert found.class_ids.tolist() == [2, 1, 2]
    assert found.boxes.tolist() == [[10, 10, 20, 20], [30, 30, 320, 40], [10, 10, 20, 20]]
    picky = DetectOptions(class_ids=(1,), confidence=0.4)
    assert detector(layout=Layout.ROWS).postprocess(rows, ALONE, picky).class_ids.tolist() == [1]


@pytest.mark.parametrize(
    ("layout", "row", "padding"),
    [
        pytest.param(Layout.SCALED_ROWS, [0.5, 0.25, 0.25, 0.5, 0.75, 2], [0] * 6, id="the network chose the class"),
        pytest.param(Layout.SCALED_QUERIES, [0.5, 0.25, 0.25, 0.5, 0.125, 0.25, 0.75], [0] * 7, id="a score a class"),
    ],
)
def test_boxes_as_shares_of_a_stretched_image(layout: Layout, row: list[float], padding: list[float]) -> None:
    image = np.zeros((400, 800, 3), np.uint8)
    rtdetr = detector(layout=layout, image_size=(64, 96))
    array, letterbox = rtdetr.preprocess(image)
    found = rtdetr.postprocess(np.array([padding, row], np.float32), letterbox, DetectOptions())
    assert array.shape == (1, 3, 64, 96)
    assert letterbox == Letterbox.stretch((400, 800), (64, 96))
    assert np.allclose(found.boxes, [[300, 0, 500, 200]])
    assert (found.scores.tolist(), found.class_ids.tolist()) == ([0.75], [2])


def test_a_fixed_batch_is_filled_with_black_images() -> None:
    array, _ = detector(rows=3).preprocess(np.full((320, 320, 3), 255, np.uint8))
    assert array.shape == (3, 3, 320, 320)
    assert (array[0] == 1).all()
    assert not array[1:].any()


def test_classes_that_the_model_does_not_have_are_dropped() -> None:
    rows = np.array([[10, 10, 20, 20, 0.9, 3], [10, 10, 20, 20, 0.8, -1], [10, 10, 20, 20, 0.7, 2]], np.float32)
    assert detector(layout=Layout.ROWS).postprocess(rows, ALONE, DetectOptions()).class_ids.tolist() == [2]


def test_half_precision_answers_are_read() -> None:
    found: Any = detector().postprocess(TWO.astype(np.float16), ALONE, DetectOptions())
    assert found.boxes.dtype == np.float32
    assert found.class_ids.tolist() == [0, 1]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_network_that_takes_pixels_gets_them(rows: int) -> None:
    artefact = replace(Artefact(), pixel_inputs=frozenset({Artefact().inputs[0].name}))
    detector = YoloDetector.from_spec(artefact)
    assert detector is not None
    detector = replace(detector, rows=rows)
    image = np.arange(3 * 60 * 40, dtype=np.uint8).reshape(60, 40, 3)
    array, letterbox = detector.preprocess(image)
    assert array.shape == (rows, *detector.image_size, 3)
    np.testing.assert_array_equal(array[0], letterbox.apply(image))
    assert not array[1:].any()
