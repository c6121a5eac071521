"""From an image to boxes: on a raw model with metadata, and on a detection model over it."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.errors import (
    DeadlineExpired,
    InvalidRequest,
    ModelUnavailable,
    QueueFull,
)
from pasarela_server.repository.manager import ManagerOptions
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.result import DetectOverrides
from pasarela_server.request import InferRequest
from pasarela_server.tensor import DataType, Tensor, TensorSpec

OVER_RAW = 'backend: "detection" parameters { key: "model" value { string_value: "raw" } }'


def pixels(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((height, width, 3), 90, np.uint8)


def png(height: int, width: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(height, width)).save(file, "PNG")
    return file.getvalue()


def encoded(content: bytes, **fields: Any) -> InferRequest:
    array = np.empty(1, object)
    array[0] = content
    return InferRequest("garments", (Tensor("image", DataType.BYTES, array),), **fields)


@pytest.fixture
def manager(repository: Any) -> Any:
    """`raw`, a detector that finds one vest; and `garments` over it."""
    return repository.add("raw", "detector").add("garments", config=OVER_RAW).manager()


@pytest.mark.parametrize("model", ["raw", "garments"])
@pytest.mark.parametrize(
    ("image", "box", "size"),
    [
        pytest.param(png(32, 64), [24, 12, 40, 20], (32, 64), id="the network's own size"),
        pytest.param(png(64, 128), [48, 24, 80, 40], (64, 128), id="twice as large"),
        pytest.param(memoryview(png(32, 64)), [24, 12, 40, 20], (32, 64), id="bytes that are not copied"),
        pytest.param(pixels(32, 64), [24, 12, 40, 20], (32, 64), id="pixels that are decoded already"),
    ],
)
async def test_boxes_are_in_pixels_of_the_image(
    manager: Any, model: str, image: Any, box: list[int], size: tuple[int, int]
) -> None:
    with manager.acquire(model) as handle:
        result = await handle.servable.detect(image)

    np.testing.assert_allclose(result.detections.boxes, [box], atol=0.01)
    assert result.detections.scores.tolist() == [0.75]
    assert [result.names[class_id] for class_id in result.detections.class_ids] == ["vest"]
    assert (result.image_height, result.image_width) == size
    assert (result.model_name, result.model_version) == (model, 1)
    assert result.timings.batch_size == 1
    assert min(result.timings.preprocess_ns, result.timings.infer_ns, result.timings.postprocess_ns) > 0


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        pytest.param(DetectOverrides(), 1, id="the defaults"),
        pytest.param(DetectOverrides(confidence=0.8), 0, id="a higher bar"),
        pytest.param(DetectOverrides(class_names=("vest",)), 1, id="its class, by name"),
        pytest.param(DetectOverrides(class_names=("skirt",)), 0, id="another class"),
        pytest.param(DetectOverrides(class_ids=(0,)), 0, id="another class, by id"),
        pytest.param(DetectOverrides(class_names=("skirt",), class_ids=(1,)), 1, id="names and ids together"),
    ],
)
async def test_a_request_may_say_what_it_wants(manager: Any, overrides: DetectOverrides, found: int) -> None:
    with manager.acquire("garments") as handle:
        result = await handle.servable.detect(png(32, 64), overrides)

    assert len(result.detections) == found


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        pytest.param(DetectOverrides(confidence=1.5), "model 'garments': confidence must lie between", id="range"),
        pytest.param(DetectOverrides(iou=float("nan")), "iou must lie between 0 and 1", id="no number"),
        pytest.param(DetectOverrides(max_detections=0), "max_detections must lie between", id="none"),
        pytest.param(DetectOverrides(class_names=("hat",)), "no class 'hat'; it knows 'skirt', 'vest'", id="name"),
        pytest.param(DetectOverrides(class_ids=(2,)), "no class id 2; it knows 0 to 1", id="class id"),
    ],
)
async def test_impossible_wishes_are_refused(manager: Any, overrides: DetectOverrides, expected: str) -> None:
    with manager.acquire("garments") as handle, pytest.raises(InvalidRequest, match=expected):
        await handle.servable.detect(png(32, 64), overrides)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(b"", "model 'garments': expected a JPEG, PNG, WebP or BMP image, got zero bytes", id="nothing"),
        pytest.param(b"hello", "model 'garments': expected a JPEG, .* got text", id="text"),
        pytest.param(png(32, 64)[:60], "model 'garments': .* ends early", id="cut off"),
        pytest.param(pixels(0, 5), "from 1 to .* pixels, got 5x0", id="no pixels"),
        pytest.param(np.zeros((4, 4), np.uint8), "must be UINT8 of shape", id="grey pixels"),
        pytest.param(np.zeros((4, 4, 3), np.float32), "got float32", id="floats"),
    ],
)
async def test_what_is_no_image_is_refused(manager: Any, image: Any, expected: str) -> None:
    with manager.acquire("garments") as handle, pytest.raises(InvalidRequest, match=expected):
        await handle.servable.detect(image)


@pytest.mark.parametrize("image", [png(32, 64), pixels(32, 64)], ids=["encoded", "pixels"])
async def test_images_that_are_too_large_are_refused(repository: Any, image: Any) -> None:
    options = ManagerOptions(limits=ImageLimits(max_pixels=32 * 64 - 1))
    manager = repository.add("raw", "detector").manager(options=options)

    with manager.acquire("raw") as handle, pytest.raises(InvalidRequest, match="2,047"):
        await handle.servable.detect(image)


async def test_an_expired_request_is_not_even_decoded(manager: Any) -> None:
    with manager.acquire("garments") as handle, pytest.raises(DeadlineExpired, match="before the image was decoded"):
        await handle.servable.detect(b"no image", DetectOverrides(), time.monotonic() - 1)


async def test_images_beyond_what_may_wait_are_refused(repository: Any) -> None:
    options = ManagerOptions(limits=ImageLimits(max_waiting=0))
    manager = repository.add("raw", "detector").manager(options=options)

    with manager.acquire("raw") as handle, pytest.raises(QueueFull, match="model 'raw'"):
        await handle.servable.detect(png(32, 64))


async def test_an_image_waits_only_until_it_is_prepared(repository: Any) -> None:
    options = ManagerOptions(limits=ImageLimits(max_waiting=1))
    manager = repository.add("raw", "detector").manager(options=options)

    with manager.acquire("raw") as handle:
        results = [await handle.servable.detect(image) for image in (png(32, 64), png(32, 64))]
        with pytest.raises(InvalidRequest):
            await handle.servable.detect(b"no image")
        results.append(await handle.servable.detect(png(32, 64)))

    assert [len(result.detections) for result in results] == [1, 1, 1]


async def test_a_size_that_the_configuration_fixes_is_the_one_that_is_sent(repository: Any) -> None:
    manager = repository.add("raw", "detector", config='input { name: "images" dims: [ 3, 64, 64 ] }').manager()

    with manager.acquire("raw") as handle:
        await handle.servable.detect(png(32, 64))

    (backend,) = repository.loader.backends
    assert {shape["images"][1:] for shape in backend.shapes} == {(3, 64, 64)}


async def test_a_network_of_a_fixed_batch_of_two_detects_on_the_first_row(repository: Any, detector_spec: Any) -> None:
    spec = replace(
        detector_spec,
        inputs=(TensorSpec("images", DataType.FP32, (2, 3, 32, 64)),),
        outputs=(TensorSpec("output0", DataType.FP32, (2, 6, 3)),),
        batched=False,
    )
    _, network = repository.loader.networks["detector"]
    repository.loader.networks["pairs"] = (spec, network)
    manager = repository.add("m", "pairs").manager()

    with manager.acquire("m") as handle:
        result = await handle.servable.detect(png(32, 64))

    assert [result.names[class_id] for class_id in result.detections.class_ids] == ["vest"]
    (backend,) = repository.loader.backends
    assert {shape["images"] for shape in backend.shapes} == {(2, 3, 32, 64)}


async def test_a_model_without_metadata_detects_nothing(repository: Any) -> None:
    manager = repository.add("m", "plain").manager()

    with manager.acquire("m") as handle, pytest.raises(InvalidRequest, match="'m' is no detection model: its artefact"):
        await handle.servable.detect(png(32, 64))


async def test_a_detection_model_answers_in_tensors(manager: Any) -> None:
    with manager.acquire("garments") as handle:
        response = await handle.servable.infer(encoded(png(32, 64), id="a"))

    arrays = {tensor.name: tensor.array for tensor in response.outputs}
    assert (response.model_name, response.model_version, response.id) == ("garments", 1, "a")
    assert [(t.name, t.datatype, t.array.dtype) for t in response.outputs] == [
        ("boxes", DataType.FP32, np.float32),
        ("scores", DataType.FP32, np.float32),
        ("class_ids", DataType.INT32, np.int32),
        ("class_names", DataType.BYTES, object),
    ]
    np.testing.assert_allclose(arrays["boxes"], [[24, 12, 40, 20]], atol=0.01)
    assert arrays["class_names"].tolist() == [b"vest"]


async def test_without_detections_its_tensors_are_empty(manager: Any) -> None:
    with manager.acquire("garments") as handle:
        response = await handle.servable.infer(encoded(png(32, 64), parameters={"confidence": 1}))

    assert {tensor.name: tensor.array.shape for tensor in response.outputs} == {
        "boxes": (0, 4),
        "scores": (0,),
        "class_ids": (0,),
        "class_names": (0,),
    }


async def test_only_the_requested_outputs_are_sent(manager: Any) -> None:
    with manager.acquire("garments") as handle:
        response = await handle.servable.infer(encoded(png(32, 64), requested_outputs=("scores",)))

    assert [tensor.name for tensor in response.outputs] == ["scores"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({"confidence": "high"}, "'confidence' must be a number from 0 to 1, got 'high'", id="a word"),
        pytest.param({"iou": True}, "'iou' must be a number from 0 to 1, got True", id="a switch"),
        pytest.param({"max_detections": 2.5}, "'max_detections' must be a whole number, got 2.5", id="not whole"),
        pytest.param({"max_detections": 0}, "max_detections must lie between", id="none"),
    ],
)
async def test_parameters_of_the_wrong_type_are_refused(
    manager: Any, parameters: dict[str, Any], expected: str
) -> None:
    with manager.acquire("garments") as handle, pytest.raises(InvalidRequest, match=f"model 'garments'.*{expected}"):
        await handle.servable.infer(encoded(png(32, 64), parameters=parameters))


async def test_other_parameters_are_not_looked_at(manager: Any) -> None:
    with manager.acquire("garments") as handle:
        await handle.servable.infer(encoded(png(32, 64), parameters={"triton_enable_empty_final_response": True}))


async def test_tensors_that_do_not_fit_are_refused(manager: Any) -> None:
    request = InferRequest("garments", (Tensor("image", DataType.FP32, np.zeros(1, np.float32)),))

    with manager.acquire("garments") as handle, pytest.raises(InvalidRequest, match="'image' must be BYTES, got FP32"):
        await handle.servable.infer(request)


async def test_defaults_of_the_configuration_hold(repository: Any) -> None:
    strict = OVER_RAW + ' parameters { key: "confidence" value { string_value: "0.9" } }'
    manager = repository.add("raw", "detector").add("garments", config=strict).manager()

    with manager.acquire("garments") as handle:
        by_default = await handle.servable.detect(png(32, 64))
        on_demand = await handle.servable.detect(png(32, 64), DetectOverrides(confidence=0.5))

    assert (len(by_default.detections), len(on_demand.detections)) == (0, 1)


async def test_names_of_a_label_file_are_used(repository: Any) -> None:
    config = 'output { name: "output0" label_filename: "labels.txt" }'
    repository.add("raw", "detector", config=config)
    (repository.root / "raw" / "labels.txt").write_text("falda\nchaleco\n")
    manager = repository.manager()

    with manager.acquire("raw") as handle:
        result = await handle.servable.detect(png(32, 64))

    assert result.names == ("falda", "chaleco")


def test_a_label_file_must_have_a_name_for_each_class(repository: Any) -> None:
    repository.add("raw", "detector", config='output { name: "output0" label_filename: "labels.txt" }')
    (repository.root / "raw" / "labels.txt").write_text("falda\n")

    (entry,) = repository.manager().index()

    assert entry.reason == "raw/config.pbtxt: label_filename 'labels.txt' has 1 names, the model file has 2"


async def test_a_raw_model_that_has_gone_is_unavailable(manager: Any) -> None:
    with manager.acquire("garments") as handle:
        manager._catalogue.get("raw").slots[1].retire()
        with pytest.raises(ModelUnavailable, match=r"^model 'garments' detects with 'raw': .*unloaded"):
            await handle.servable.detect(png(32, 64))


async def test_a_failed_detection_gives_the_raw_model_back(manager: Any, repository: Any) -> None:
    with manager.acquire("garments") as handle, pytest.raises(InvalidRequest):
        await handle.servable.detect(b"no image")

    manager.close(timeout_s=0)

    assert [backend.closed.is_set() for backend in repository.loader.backends] == [True]


async def test_how_small_a_large_jpeg_is_decoded_is_the_configurations(
    repository: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin = ' parameters { key: "jpeg_margin" value { string_value: "2" } }'
    manager = repository.add("raw", "detector").add("garments", config=OVER_RAW + margin).manager()
    seen = []
    apply = Letterbox.apply
    monkeypatch.setattr(
        Letterbox, "apply", lambda letterbox, image: seen.append(image.shape) or apply(letterbox, image)
    )
    file = io.BytesIO()
    Image.fromarray(pixels(256, 512)).save(file, "JPEG")

    results = {}
    for model in ("raw", "garments"):
        with manager.acquire(model) as handle:
            results[model] = await handle.servable.detect(file.getvalue(), DetectOverrides())

    assert seen == [(256, 512, 3), (64, 128, 3)]
    assert (results["garments"].image_height, results["garments"].image_width) == (256, 512)
    assert np.array_equal(results["garments"].detections.boxes, results["raw"].detections.boxes)
    assert results["raw"].detections.boxes.tolist() == [[192, 96, 320, 160]]
