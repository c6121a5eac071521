"""The stage that decodes JPEGs in batches: what it takes, with whom, and what becomes of each."""

import io
import logging
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.detection.jpeg_header import JpegHeader
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import BackendFailure, BackendMissing, InvalidModel, InvalidRequest, ServerStopping
from pasarela_server.repository.jpeg_stage import JpegStage, Waiting, open_stage, take
from tests.jpeg_twin import open_twin

SAMPLE = Path(__file__).parents[4] / "docs/images/samples/1.jpg"
MOST_PIXELS = 10**6


def picture(kind: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def waiting(height: int = 10, width: int = 10, canvas: tuple[int, int] = (32, 64)) -> Waiting:
    return Waiting(b"", JpegHeader((height, width), 1, "YCbCr"), Letterbox.fit((height, width), canvas))


@pytest.fixture
def detector(detector_spec: ArtefactSpec) -> YoloDetector:
    """Of a network at 64x32 that takes pixels."""
    found = YoloDetector.from_spec(replace(detector_spec, pixel_inputs=frozenset({"images"})))
    assert found is not None
    assert found.takes_pixels
    return found


class Gated:
    """Decodes when it is let; notes the batches."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.sizes: list[int] = []
        self.error: Exception | None = None

    def lay(self, files, placements, canvas, background):
        self.sizes.append(len(files))
        self.began.release()
        self.go.acquire()
        if self.error is not None:
            raise self.error
        return open_twin().lay(files, placements, canvas, background)


@pytest.fixture
def gated():
    batches = Gated()
    stage = JpegStage("garments", batches)
    yield batches, stage
    batches.go.release(100)
    stage.close()


@pytest.mark.parametrize(
    ("entries", "taken"),
    [
        ([waiting()], 1),  # reason: one that is alone does not wait for others
        ([waiting()] * 3, 3),  # reason: all that wait
        ([waiting()] * 5, 4),  # reason: as many as fit
        ([waiting(), waiting(canvas=(64, 64)), waiting()], 1),  # reason: the second goes onto another canvas
        ([waiting(20, 20), waiting(20, 20), waiting(20, 20)], 2),  # reason: 1,000 pixels are room for two of 400
        ([waiting(90, 90), waiting()], 1),  # reason: a large one goes by itself, and goes
        ([], 0),  # reason: nothing waits
    ],
)
def test_a_batch_is_what_fits_in_the_order_in_which_it_came(entries: list[Waiting], taken: int) -> None:
    left = deque(entries)

    batch = take(left, most_files=4, most_pixels=1000)

    assert batch == entries[:taken]
    assert list(left) == entries[taken:]


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from([(32, 32), (64, 64)]))))
def test_every_image_is_in_one_batch_and_none_waits_for_ever(sizes: list[tuple[int, tuple[int, int]]]) -> None:
    entries = [waiting(side, side, canvas) for side, canvas in sizes]
    left, batches = deque(entries), []

    while left:
        batches.append(take(left, most_files=3, most_pixels=500))

    assert [entry for batch in batches for entry in batch] == entries
    for batch in batches:
        assert 1 <= len(batch) <= 3
        assert len({entry.letterbox.target for entry in batch}) == 1
        assert len(batch) == 1 or sum(entry.pixels for entry in batch) <= 500


@pytest.mark.parametrize(
    ("data", "is_taken"),
    [
        (picture(), True),  # reason: a photograph
        (memoryview(picture()), True),  # reason: in somebody else's memory
        (picture(progressive=True), True),  # reason: scans are a matter of the decoder
        (picture() + b"\0" * 20, True),  # reason: zeros that fill the file up
        (picture("PNG"), False),  # reason: no JPEG
        (picture("WEBP"), False),  # reason: no JPEG
        (picture(mode="L"), False),  # reason: a single component
        (picture(mode="CMYK"), False),  # reason: colours of a printer
        (picture()[:-200], False),  # reason: cut off
        (b"hello", False),  # reason: no image: the pool says so
        (b"", False),  # reason: nothing
    ],
)
def test_only_usual_jpegs_are_taken(detector: YoloDetector, data: bytes | memoryview, is_taken: bool) -> None:
    stage = JpegStage("garments", open_twin())
    try:
        laid = stage.submit(data, detector, MOST_PIXELS)
        assert (laid is not None) == is_taken
        if laid is not None:
            found = laid.result(10)
            assert found is not None
            assert found.canvas.shape == (32, 64, 3)
            assert found.letterbox == detector.place((48, 64))
            assert 0 < found.began_ns <= found.ended_ns
    finally:
        stage.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"takes_pixels": False},  # reason: the network's values are made on the CPU
        {"rows": 2},  # reason: the other rows are made on the CPU
    ],
)
def test_networks_that_take_no_single_picture_have_their_own_way(detector: YoloDetector, changes: dict) -> None:
    stage = JpegStage("garments", open_twin())
    try:
        assert stage.submit(picture(), replace(detector, **changes), MOST_PIXELS) is None
    finally:
        stage.close()


@pytest.mark.parametrize(
    ("data", "most_pixels", "expected"),
    [
        (picture(), 48 * 64 - 1, "64x48 pixels is larger than the 3,071 pixels allowed"),  # reason: its header says so
        (picture()[:20], MOST_PIXELS, "is broken or ends early"),  # reason: no whole header
    ],
)
def test_what_no_decoder_may_see_is_refused_at_once(
    detector: YoloDetector, data: bytes, most_pixels: int, expected: str
) -> None:
    stage = JpegStage("garments", open_twin())
    try:
        with pytest.raises(InvalidRequest, match=expected):
            stage.submit(data, detector, most_pixels)
    finally:
        stage.close()


def test_what_comes_during_a_batch_shares_the_next(gated, detector: YoloDetector) -> None:
    batches, stage = gated
    first = stage.submit(picture(), detector, MOST_PIXELS)
    assert batches.began.acquire(timeout=10)
    others = [stage.submit(picture(), detector, MOST_PIXELS) for _ in range(5)]
    batches.go.release(2)

    assert all(one.result(10) is not None for one in (first, *others))
    assert batches.sizes == [1, 5]


def test_one_that_leaves_while_it_waits_is_not_decoded(gated, detector: YoloDetector) -> None:
    batches, stage = gated
    first = stage.submit(picture(), detector, MOST_PIXELS)
    assert batches.began.acquire(timeout=10)
    leaving, staying = (stage.submit(picture(), detector, MOST_PIXELS) for _ in range(2))
    assert leaving.cancel()
    assert not first.cancel()
    batches.go.release(2)

    assert staying.result(10) is not None
    assert first.result(10) is not None
    assert batches.sizes == [1, 1]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BackendFailure("PyTorch failed: CUDA error"), "PyTorch failed: CUDA error"),  # reason: it says what it has
        (ValueError("/somewhere/secret"), "ValueError"),  # reason: nobody knows what is in it
    ],
)
def test_a_device_that_fails_leaves_the_images_to_the_processor(
    gated, detector: YoloDetector, caplog: pytest.LogCaptureFixture, error: Exception, expected: str
) -> None:
    batches, stage = gated
    batches.go.release(3)
    batches.error = error
    with caplog.at_level(logging.WARNING):
        assert [stage.submit(picture(), detector, MOST_PIXELS).result(10) for _ in range(2)] == [None, None]
    batches.error = None
    assert stage.submit(picture(), detector, MOST_PIXELS).result(10) is not None

    said = f"model garments: JPEGs are decoded on the CPU while the device fails: {expected}"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_closing_refuses_what_waits_and_finishes_what_is_decoded(gated, detector: YoloDetector) -> None:
    batches, stage = gated
    first = stage.submit(picture(), detector, MOST_PIXELS)
    assert batches.began.acquire(timeout=10)
    second = stage.submit(picture(), detector, MOST_PIXELS)
    closing = threading.Thread(target=stage.close)
    closing.start()

    with pytest.raises(ServerStopping, match="'garments' is being unloaded"):
        second.result(10)
    batches.go.release()
    closing.join(10)
    assert not closing.is_alive()
    assert first.result(10) is not None
    with pytest.raises(ServerStopping):
        stage.submit(picture(), detector, MOST_PIXELS)


class Turned:
    """Decodes, and then does what a wrong decoder would."""

    def __init__(self, change) -> None:
        self.change = change

    def lay(self, files, placements, canvas, background):
        return [self.change(found) for found in open_twin().lay(files, placements, canvas, background)]


def failing(*_: object):
    raise BackendFailure("PyTorch failed: no kernel image is available")


OFF = "made of a sample is .* levels of 255 off"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda found: found[..., ::-1], OFF),  # reason: blue and red are exchanged
        (lambda found: found[::-1], OFF),  # reason: upside down
        (lambda found: found[:, ::-1], OFF),  # reason: mirrored
        (lambda found: np.clip(found.astype(int) + 9, 0, 255), OFF),  # reason: too bright
        (lambda _: None, "could not decode a sample"),  # reason: it cannot decode
        (failing, "no kernel image is available"),  # reason: the device fails
    ],
)
def test_a_device_that_decodes_otherwise_is_not_used(change, expected: str) -> None:
    with pytest.raises(InvalidModel, match=f"^garments/config.pbtxt: parameter 'jpeg_device': .*{expected}"):
        open_stage("garments", "garments/config.pbtxt", lambda: Turned(change))


def test_what_is_missing_is_said_before_any_thread_is_started() -> None:
    def missing():
        raise BackendMissing('torchcodec is not installed; install it with: pip install "pasarela-server[nvjpeg]"')

    before = threading.active_count()
    with pytest.raises(BackendMissing, match="nvjpeg"):
        open_stage("garments", "garments/config.pbtxt", missing)
    assert threading.active_count() == before


def test_a_device_that_decodes_rightly_is_used(detector: YoloDetector) -> None:
    stage = open_stage("garments", "garments/config.pbtxt", open_twin)
    try:
        laid = stage.submit(SAMPLE.read_bytes(), detector, MOST_PIXELS)
        assert laid is not None
        assert laid.result(10) is not None
    finally:
        stage.close()
