"""JPEGs in batches, with the CPU in the GPU's place: every picture lies where the processor's own path lays it."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pasarela_server.backends.jpeg_batches import JpegBatches, Placement, open_jpeg_batches
from pasarela_server.detection.exif import upright
from pasarela_server.detection.image import decode_image
from pasarela_server.detection.letterbox import PADDING_VALUE, Letterbox
from pasarela_server.errors import BackendFailure, InvalidModel
from tests.jpeg_twin import HostLane, open_twin

CANVAS = (48, 64)
ROUNDING = 1
"""Levels: OpenCV interpolates in whole numbers, PyTorch in floating point."""


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture without symmetries."""
    down, right = np.mgrid[0:height, 0:width]
    levels = np.stack([down * 255 // height, right * 255 // width, (down + 2 * right + 37 * seed) % 256], axis=2)
    return levels.astype(np.uint8)


def jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def expected(file: bytes, turn: int = 1, canvas: tuple[int, int] = CANVAS) -> tuple[np.ndarray, Placement]:
    """What the processor makes of a file, and where it lays it."""
    seen = np.ascontiguousarray(upright(decode_image(file), turn))
    box = Letterbox.fit(seen.shape[:2], canvas)
    return box.apply(seen), Placement(turn, *box.resized, box.top, box.left)


def distance(found: np.ndarray, right: np.ndarray) -> int:
    assert found.shape == right.shape
    assert found.dtype == np.uint8
    return int(np.abs(found.astype(int) - right).max())


@pytest.mark.parametrize("turn", range(1, 9))  # reason: each EXIF orientation turns in another way
def test_each_orientation_lies_as_the_processor_lays_it(turn: int) -> None:
    file = jpeg(scene(40, 90))
    right, placement = expected(file, turn)

    (found,) = open_twin().lay([file], [placement], CANVAS, PADDING_VALUE)

    assert found is not None
    assert distance(found, right) <= ROUNDING


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 150), st.integers(1, 150), st.integers(1, 8)), min_size=1, max_size=5))
def test_pictures_of_any_size_share_a_batch(sizes: list[tuple[int, int, int]]) -> None:
    files = [jpeg(scene(height, width, seed)) for seed, (height, width, _) in enumerate(sizes)]
    rights, placements = zip(*map(expected, files, (turn for *_, turn in sizes)), strict=True)

    found = open_twin().lay(files, placements, CANVAS, PADDING_VALUE)

    assert max(map(distance, found, rights)) <= ROUNDING


@pytest.mark.parametrize(
    ("spoil", "count"),
    [
        (lambda file: file[: len(file) // 2], 1),  # reason: it ends early
        (lambda file: b"\xff\xd8\xff nothing", 1),  # reason: no picture at all
        (lambda file: b"", 1),  # reason: not a byte
        (lambda file: file[:300], 4),  # reason: all that were sent are broken
    ],
)
def test_a_file_that_cannot_be_decoded_costs_the_others_nothing(spoil, count: int) -> None:
    good = [jpeg(scene(40, 90)), jpeg(scene(50, 30))]
    files = [good[0], *[spoil(good[0])] * count, good[1]]
    (first, placement), (last, other) = expected(good[0]), expected(good[1])

    found = open_twin().lay(files, [placement] * (count + 1) + [other], CANVAS, PADDING_VALUE)

    assert [canvas is None for canvas in found] == [False, *[True] * count, False]
    assert max(distance(found[0], first), distance(found[-1], last)) <= ROUNDING


def test_canvases_belong_to_whoever_asked() -> None:
    batches = open_twin()
    one, other = jpeg(scene(48, 64)), jpeg(255 - scene(48, 64))
    right, placement = expected(one)
    (kept,) = batches.lay([one], [placement], CANVAS, PADDING_VALUE)

    batches.lay([other], [placement], CANVAS, PADDING_VALUE)

    assert kept is not None
    assert distance(kept, right) == 0
    assert kept.flags.writeable
    assert kept.flags.c_contiguous


def test_files_are_read_where_they_lie() -> None:
    message = bytearray(b"before" + jpeg(scene(40, 90)) + b"after")
    file = memoryview(message)[6:-5].toreadonly()
    right, placement = expected(bytes(file))

    (found,) = open_twin().lay([file], [placement], CANVAS, PADDING_VALUE)

    assert found is not None
    assert distance(found, right) <= ROUNDING


def test_the_host_reads_only_what_the_device_has_finished() -> None:
    lane = HostLane()
    decode = open_twin()._decode
    file = jpeg(scene(40, 90))

    JpegBatches(torch, decode, lane).lay([file], [expected(file)[1]], CANVAS, PADDING_VALUE)

    assert lane.waited == 1


def test_a_device_that_fails_says_so() -> None:
    class Broken(HostLane):
        def resident(self, shape, dtype):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    file = jpeg(scene(40, 90))
    with pytest.raises(BackendFailure, match="PyTorch failed: CUDA error"):
        JpegBatches(torch, open_twin()._decode, Broken()).lay([file], [expected(file)[1]], CANVAS, PADDING_VALUE)


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidModel, match="PyTorch sees no CUDA device 99"):
        open_jpeg_batches(99)
