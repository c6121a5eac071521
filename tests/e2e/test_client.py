"""The client against a real server with real models."""

import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pasarela_client import (
    Detections,
    Detector,
    FrameError,
    InvalidRequest,
    ModelNotFound,
    ServerUnreachable,
)
from pasarela_client.__main__ import main
from pasarela_client.control import Server

ANYTHING = 0.0001
"""A confidence at which even a model with random weights finds something."""


@pytest.fixture
def pixels(sample_image: Path) -> np.ndarray[Any, Any]:
    with Image.open(sample_image) as picture:
        return np.asarray(picture.convert("RGB"))


def size_of(path: str | Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_the_garments_on_the_sample(server: Any, sample_image: Path, sample_names: list[str] | None) -> None:
    with Detector(server.address) as detector:
        found = detector.detect(sample_image)
        loose = detector.detect(sample_image, confidence=ANYTHING, max_detections=5)
        assert set(found.names) <= set(detector.names.values())
    if sample_names is not None:
        assert sorted(found.names) == sample_names
    width, height = found.image_size
    assert (width, height) == size_of(sample_image)
    assert 0 < len(loose) <= 5
    assert (loose.boxes >= 0).all()
    assert (loose.boxes <= [width, height, width, height]).all()
    assert (np.diff(loose.scores) <= 0).all()
    assert loose.timings.total_ms > 0
    assert loose.version == "1"


def test_every_form_of_an_image_gives_the_same(server: Any, sample_image: Path, pixels: Any) -> None:
    with Detector(server.address) as detector:
        from_file = detector.detect(sample_image, confidence=ANYTHING, max_detections=5)
        from_bytes = detector.detect(sample_image.read_bytes(), confidence=ANYTHING, max_detections=5)
        from_rgb = detector.detect(pixels, confidence=ANYTHING, max_detections=5)
        from_bgr = detector.detect(pixels[..., ::-1], channels="BGR", confidence=ANYTHING, max_detections=5)
        from_pillow = detector.detect(Image.fromarray(pixels), confidence=ANYTHING, max_detections=5)
    np.testing.assert_array_equal(from_bytes.boxes, from_file.boxes)
    np.testing.assert_array_equal(from_bgr.boxes, from_rgb.boxes)
    np.testing.assert_array_equal(from_pillow.boxes, from_rgb.boxes)
    assert from_rgb.image_size == from_file.image_size


def test_a_class_that_is_asked_for(server: Any, sample_image: Path) -> None:
    with Detector(server.address) as detector:
        found = detector.detect(sample_image, confidence=ANYTHING)
        wanted = found[0]
        by_name = detector.detect(sample_image, confidence=ANYTHING, classes=[wanted.name])
        by_id = detector.detect(sample_image, confidence=ANYTHING, classes=[wanted.class_id])
        with pytest.raises(InvalidRequest, match="parasol"):
            detector.detect(sample_image, classes=["parasol"])
    assert set(by_name.names) == {wanted.name}
    np.testing.assert_array_equal(by_id.boxes, by_name.boxes)


def test_twenty_frames_come_back_in_order_and_as_single_images_do(server: Any, pixels: Any) -> None:
    height, width, _ = pixels.shape
    frames = [np.roll(pixels, shift=index * width // 40, axis=1) for index in range(20)]
    with Detector(server.address) as detector:
        streamed = list(detector.detect_stream(frames, window=6, confidence=ANYTHING, max_detections=3))
        alone = detector.detect(frames[13], confidence=ANYTHING, max_detections=3)
    assert [result.frame_index for result in streamed] == list(range(20))
    thirteenth = streamed[13]
    assert isinstance(thirteenth, Detections)
    assert thirteenth.image_size == (width, height)
    np.testing.assert_allclose(thirteenth.boxes[0], alone.boxes[0], atol=2)


def test_a_bad_frame_does_not_end_the_stream(server: Any, sample_image: Path) -> None:
    content = sample_image.read_bytes()
    with Detector(server.address) as detector:
        results = list(detector.detect_stream([content, b"text", content[: len(content) // 3], b"\xff", content]))
    assert isinstance(results[0], Detections)
    assert isinstance(results[4], Detections)
    for broken in (results[1], results[3]):
        assert isinstance(broken, FrameError)
        assert isinstance(broken.error, InvalidRequest)


def test_leaving_a_stream_leaves_the_server_well(server: Any, sample_image: Path) -> None:
    content = sample_image.read_bytes()
    with Detector(server.address) as detector:
        for _ in range(5):
            for _result in detector.detect_stream(itertools.repeat(content)):
                break
        assert detector.detect(content).image_size == size_of(sample_image)


@pytest.mark.parametrize(("model", "version"), [("hats", ""), ("garments", "99")], ids=["model", "version"])
def test_what_the_server_does_not_have(server: Any, sample_image: Path, model: str, version: str) -> None:
    with Detector(server.address, model, version=version) as detector:
        with pytest.raises(ModelNotFound) as raised:
            detector.detect(sample_image)
        (result,) = detector.detect_stream([sample_image])
    assert (version or model) in str(raised.value)
    assert isinstance(result, FrameError)
    assert isinstance(result.error, ModelNotFound)


def test_a_server_that_dies_in_the_middle_of_a_stream(
    start_server: Callable[..., Any], repository: Path, sample_image: Path
) -> None:
    with start_server(repository) as server, Detector(server.address) as detector:
        results = detector.detect_stream(itertools.repeat(sample_image.read_bytes()), reconnect_s=0)
        next(results)
        server.stop(signal.SIGKILL)
        with pytest.raises(ServerUnreachable, match=server.address):
            for _ in results:
                pass
        with pytest.raises(ServerUnreachable, match=server.address):
            detector.detect(sample_image)


def test_models_of_the_server(server: Any) -> None:
    with Server(server.address) as asked:
        states = {state.name: state for state in asked.models()}
        raw, over_it = asked.describe("garments_onnx"), asked.describe("garments")
    assert {"garments", "garments_onnx", "garments_openvino", "garments_pytorch"} <= set(states)
    assert states["garments"].ready
    assert raw.inputs[0].datatype == "FP32"
    assert over_it.class_names == raw.class_names
    assert len(raw.class_names) == 13


def test_the_command_line(server: Any, sample_image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["detect", str(sample_image), str(tmp_path / "gone.jpg"), "--url", server.address, "--json",
                 "--conf", str(ANYTHING), "--max", "2", "--save", str(tmp_path / "found")])  # fmt: skip
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert code == 1
    assert "gone.jpg" in captured.err
    assert len(line["detections"]) == 2
    assert size_of(line["saved"]) == size_of(sample_image)
    assert main(["models", "--url", server.address]) == 0
    assert "garments_openvino" in capsys.readouterr().out
