"""A video through the command line and a real server with real models."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pasarela_client import Detector
from pasarela_client.__main__ import main
from pasarela_client.sources import open_source
from tests.unit.client.recordings import record

FRAMES = 8


@pytest.fixture
def clip(sample_image: Path, tmp_path: Path) -> Path:
    """The sample, moving to the right."""
    with Image.open(sample_image) as picture:
        pixels = np.asarray(picture.convert("RGB"))[: picture.height // 2 * 2, : picture.width // 2 * 2]
    return record(tmp_path / "clip.mp4", [np.roll(pixels, 4 * step, axis=1) for step in range(FRAMES)], rate=5)


def test_a_video_is_detected_on_and_saved_with_boxes(
    server: Any, clip: Path, tmp_path: Path, sample_names: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "found.mp4"
    assert main(["detect", str(clip), "--url", server.address, "--json", "--save", str(place)]) == 0
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["frame_index"] for line in lines] == list(range(FRAMES))
    assert [line["timestamp_s"] for line in lines] == pytest.approx([index / 5 for index in range(FRAMES)], abs=0.002)
    assert f"{FRAMES} frames done" in captured.err
    with av.open(str(place)) as saved, av.open(str(clip)) as original:
        pairs = list(zip(saved.decode(video=0), original.decode(video=0), strict=True))
    assert len(pairs) == FRAMES
    if sample_names is not None:
        assert set(sample_names) & {found["name"] for line in lines for found in line["detections"]}
        first, before = (picture.to_ndarray(format="rgb24").astype(int) for picture in pairs[0])
        assert (abs(first - before) > 60).any(), "boxes are drawn"


def test_pixels_and_jpeg_find_the_same(server: Any, clip: Path, sample_names: list[str] | None) -> None:
    """JPEG of quality 90, as the command line sends frames, changes scores by some thousandths."""
    with Detector(server.address) as detector:
        names = []
        for quality in (None, 90):
            with open_source(clip, jpeg_quality=quality, max_frames=3) as frames:
                names.append([sorted(result.unwrap().names) for result in detector.detect_stream(frames)])
    assert [len(found) for found in names] == [3, 3]
    if sample_names is not None:
        assert names[0] == names[1]
