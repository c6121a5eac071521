"""A detection model whose JPEGs are decoded in batches on a device, with the CPU in the device's place."""

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pasarela_server.backends import jpeg_batches
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import DeadlineExpired, InvalidRequest, ServingError
from pasarela_server.repository.jpeg_stage import JpegStage
from pasarela_server.repository.pipeline import DetectionPipeline, ImageLimits
from pasarela_server.repository.result import DetectOverrides
from tests.jpeg_twin import open_twin

FILES = [path.read_bytes() for path in sorted((Path(__file__).parents[4] / "docs/images/samples").glob("*.jpg"))]
OVER_RAW = 'backend: "detection" parameters { key: "model" value { string_value: "raw" } }'
ON_DEVICE = OVER_RAW + ' parameters { key: "jpeg_device" value { string_value: "cuda:0" } }'


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Devices that were asked for; the CPU stands for each."""
    asked: list[Any] = []

    def open_noted(device: int) -> Any:
        asked.append(device)
        return open_twin()

    monkeypatch.setattr(jpeg_batches, "open_jpeg_batches", open_noted)
    return asked


@pytest.fixture
def manager(repository: Any, twins: list[Any]) -> Any:
    """`raw` takes pixels and keeps what it was sent; `cpu` and `device` detect over it."""
    spec, network = repository.loader.networks["detector"]
    repository.loader.networks["pixels"] = (replace(spec, pixel_inputs=frozenset({"images"})), seen(network, []))
    repository.add("raw", "pixels").add("cpu", config=OVER_RAW).add("device", config=ON_DEVICE)
    return repository.manager()


def seen(network: Any, kept: list[np.ndarray]) -> Any:
    def infer(inputs: Any) -> Any:
        kept.append(inputs["images"].copy())
        return network(inputs)

    infer.kept = kept  # type: ignore[attr-defined]
    return infer


def inputs_seen(repository: Any) -> list[np.ndarray]:
    return repository.loader.networks["pixels"][1].kept


async def detect(manager: Any, model: str, image: Any, **options: Any) -> Any:
    with manager.acquire(model) as handle:
        return await handle.servable.detect(image, DetectOverrides(), **options)


@pytest.mark.parametrize("file", FILES)
async def test_the_network_sees_what_it_sees_otherwise(manager: Any, repository: Any, file: bytes) -> None:
    kept = inputs_seen(repository)
    kept.clear()

    cpu, device = [await detect(manager, model, file) for model in ("cpu", "device")]

    (one, other) = kept
    assert one.shape == other.shape == (1, 32, 64, 3)
    # The CPU decodes a large JPEG at half its size (decision 20); the device decodes it whole.
    assert np.abs(one.astype(int) - other).mean() < 4
    assert np.array_equal(cpu.detections.boxes, device.detections.boxes)
    assert (cpu.image_height, cpu.image_width) == (device.image_height, device.image_width)
    assert device.timings.decode_ns > 0
    assert device.timings.letterbox_ns == 0


async def test_the_device_that_is_written_is_used(manager: Any, twins: list[Any], monkeypatch: Any) -> None:
    assert twins == [0]
    monkeypatch.setattr("pasarela_server.detection.image._decode_jpeg", None)

    assert len((await detect(manager, "device", FILES[0])).detections) == 1
    with pytest.raises(TypeError):
        await detect(manager, "cpu", FILES[0])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (b"hello", "model 'device': expected a JPEG"),  # reason: no image
        (FILES[0][:3000], "model 'device': the JPEG image ends early"),  # reason: cut off
        (FILES[0][:100], "model 'device': the JPEG image is broken or ends early"),  # reason: no header
        (np.zeros((4, 4), np.uint8), "model 'device': pixels must be UINT8 of shape"),  # reason: no file at all
    ],
)
async def test_bad_images_are_refused_as_they_are_otherwise(manager: Any, image: Any, expected: str) -> None:
    with pytest.raises(InvalidRequest, match=expected):
        await detect(manager, "device", image)


async def test_what_the_device_cannot_decode_the_processor_does(manager: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(jpeg_batches.JpegBatches, "lay", lambda _, files, *__: [None] * len(files))

    assert len((await detect(manager, "device", FILES[0])).detections) == 1


async def test_a_deadline_that_passes_while_the_pool_is_busy_costs_no_decoding(detector_spec: Any) -> None:
    class Unasked:
        def lay(self, *_: Any) -> Any:
            raise AssertionError("nobody waits for it")

    detector = YoloDetector.from_spec(replace(detector_spec, pixel_inputs=frozenset({"images"})))
    stage, seen_by_stage = JpegStage("device", Unasked()), []
    submit = stage.submit
    stage.submit = lambda *call: seen_by_stage.append(call) or submit(*call)  # type: ignore[method-assign, func-returns-value]
    raw = SimpleNamespace(require_detector=lambda: detector, images=None)  # no line, which would refuse it at the door
    with ThreadPoolExecutor(1) as pool, contextlib.closing(stage):
        pipeline = DetectionPipeline(
            "device", 1, lambda: contextlib.nullcontext(raw), pool, DetectOptions(), ImageLimits(), stage
        )
        with pytest.raises(DeadlineExpired, match="the deadline passed before the image was decoded"):
            await pipeline.detect(FILES[0], DetectOverrides(), time.monotonic() - 1)
    assert seen_by_stage == []


async def test_many_at_once_share_batches_and_keep_their_own_answers(manager: Any, monkeypatch: Any) -> None:
    sizes: list[int] = []
    lay = jpeg_batches.JpegBatches.lay
    monkeypatch.setattr(
        jpeg_batches.JpegBatches,
        "lay",
        lambda batches, files, *rest: sizes.append(len(files)) or lay(batches, files, *rest),
    )
    files = FILES * 6

    results = await asyncio.gather(*(detect(manager, "device", file) for file in files))

    expected = [await detect(manager, "cpu", file) for file in files]
    assert [(one.image_height, one.image_width) for one in results] == [
        (one.image_height, one.image_width) for one in expected
    ]
    assert all(
        map(np.array_equal, (one.detections.boxes for one in results), (one.detections.boxes for one in expected))
    )
    assert sum(sizes) == len(files)


async def test_a_client_that_leaves_keeps_nothing_busy(manager: Any) -> None:
    call = asyncio.create_task(detect(manager, "device", FILES[0]))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert len((await detect(manager, "device", FILES[1])).detections) == 1


def test_the_stage_ends_with_its_model(manager: Any) -> None:
    def stages() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("jpeg-")]

    assert stages() == ["jpeg-device"]
    manager.close()
    assert stages() == []


def test_a_device_that_is_not_there_is_the_models_problem_alone(repository: Any) -> None:
    config = ON_DEVICE.replace("cuda:0", "cuda:99")
    manager = repository.add("raw", "detector").add("cpu", config=OVER_RAW).add("device", config=config).manager()

    assert manager.model_ready("cpu")
    with pytest.raises(ServingError, match=r"device/config\.pbtxt: parameter 'jpeg_device': PyTorch sees no CUDA"):
        manager.acquire("device")
