"""OpenVINO takes pixels in place of values, reads inputs where they lie and writes outputs where they stay."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import BackendOptions, PartsSession
from pasarela_server.backends.openvino_requests import writable
from pasarela_server.backends.openvino_variants import Forms, Variant, Variants
from pasarela_server.errors import BackendFailure

OPTIONS = BackendOptions(instances=2, threads=1, parameters={"precision": "f32"})
METADATA = "task: detect\nstride: 32\nimgsz: [4, 6]\nnames: {0: vest}\nchannels: 3\n"
ROW = ((1, 3, 4, 6),)

Make = Callable[..., Path]


def pixels(rows: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, 256, (rows, height, width, 3), np.uint8)


def values(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)


def identity(folder: Path, shape: list[int], kind: type = np.float32, metadata: str = METADATA) -> Path:
    """An answer that is its input: colours or rows that were mixed up would show."""
    x = ops.parameter(ov.PartialShape(shape), kind, name="images")
    x.output(0).set_names({"images"})
    y = ops.relu(x)
    y.output(0).set_names({"output0"})
    ov.save_model(ov.Model([y], [x], "identity"), folder / "model.xml", compress_to_fp16=False)
    (folder / "metadata.yaml").write_text(metadata)
    return folder / "model.xml"


@pytest.mark.parametrize(
    ("shape", "kind", "images"),
    [
        ([-1, 3, -1, -1], np.float32, pixels(1, 4, 6)),  # reason: the usual image
        ([-1, 3, -1, -1], np.float32, pixels(3, 4, 6)),  # reason: a batch of it, row after row
        ([-1, 3, -1, -1], np.float32, pixels(1, 8, 2)),  # reason: another size
        ([-1, 3, -1, -1], np.float32, pixels(2, 8, 2)),  # reason: a batch of another size
        ([1, 3, -1, -1], np.float32, pixels(1, 4, 6)),  # reason: no batch, sizes vary
        ([1, 3, 4, 6], np.float32, pixels(1, 4, 6)),  # reason: nothing varies
        ([2, 3, 4, 6], np.float32, pixels(2, 4, 6)),  # reason: a batch that is fixed
        ([-1, 3, 4, 6], np.float16, pixels(2, 4, 6)),  # reason: halves
    ],
)
def test_pixels_are_their_values(tmp_path: Path, shape: list[int], kind: type, images: np.ndarray) -> None:
    backend = load_backend("openvino", identity(tmp_path, shape, kind), OPTIONS)
    assert backend.spec.pixel_inputs == {"images"}
    session = backend.session()
    of_pixels = session.infer({"images": images})["output0"]
    of_values = session.infer({"images": values(images).astype(kind)})["output0"]
    assert of_pixels.dtype == of_values.dtype == kind
    np.testing.assert_allclose(of_values, values(images), atol=1e-3 if kind is np.float16 else 0)
    np.testing.assert_allclose(of_pixels, of_values, atol=1e-3 if kind is np.float16 else 1e-6)


@pytest.mark.parametrize(
    ("shape", "kind", "metadata"),
    [
        ([-1, 3, 4, 6], np.float32, "author: somebody\n"),  # reason: nobody says what the values are
        ([-1, 3, 4, 6], np.float32, METADATA.replace("detect", "classify")),  # reason: no detector
        ([-1, 1, 4, 6], np.float32, METADATA),  # reason: one colour
        ([-1, 3, 4], np.float32, METADATA),  # reason: no image
        ([-1, 3, 4, 6], np.int32, METADATA),  # reason: no fractions
    ],
)
def test_what_is_no_image_takes_no_pixels(tmp_path: Path, shape: list[int], kind: type, metadata: str) -> None:
    backend = load_backend("openvino", identity(tmp_path, shape, kind, metadata), OPTIONS)
    assert backend.spec.pixel_inputs == frozenset()


@pytest.mark.parametrize(
    ("forms", "array", "chosen"),
    [
        (Forms(True, ROW, True, False), np.empty((1, 4, 6, 3), np.uint8), Variant(True, ROW)),  # reason: the usual
        (Forms(True, ROW, True, False), np.empty((5, 4, 6, 3), np.uint8), Variant(True, ROW)),  # reason: row by row
        (Forms(True, ROW, True, False), np.empty((5, 3, 4, 6), np.float32), Variant(False, ROW)),  # reason: values
        (Forms(True, ROW, False, False), np.empty((5, 3, 4, 6), np.float32), Variant()),  # reason: a batch as a batch
        (Forms(True, ROW, True, False), np.empty((1, 3, 6, 4), np.float32), Variant()),  # reason: upright
        (Forms(True, ROW, True, False), np.empty((1, 3, 4, 6), np.uint8), Variant(True)),  # reason: pixels put wrongly
        (Forms(True, ROW, True, True), np.empty((1, 3, 6, 4), np.float32), Variant(False, ROW)),  # reason: no other
        (Forms(False, None, False, False), np.empty((1, 4, 6, 3), np.uint8), Variant()),  # reason: bytes, no pixels
    ],
)
def test_the_variant_for_an_array(forms: Forms, array: np.ndarray, chosen: Variant) -> None:
    assert forms.choose([array]) == chosen


def test_a_variant_is_compiled_once_and_only_those_that_want_it_wait() -> None:
    slow, fast = Variant(row=ROW), Variant(True, ROW)
    began, go_on = threading.Event(), threading.Event()
    compiled: list[Variant] = []

    def compile_one(variant: Variant) -> str:
        compiled.append(variant)
        if variant == slow:
            began.set()
            assert go_on.wait(30)
        return str(variant)

    variants = Variants(compile_one, (slow, fast))
    answers: list[str] = []
    waiting = [threading.Thread(target=lambda: answers.append(variants[slow])) for _ in range(3)]
    for thread in waiting:
        thread.start()
    assert began.wait(30)
    assert variants[fast] == str(fast)
    go_on.set()
    for thread in waiting:
        thread.join()
    assert answers == [str(slow)] * 3
    assert sorted(compiled, key=str) == sorted([slow, fast], key=str)


def test_a_variant_that_could_not_be_compiled_is_tried_again() -> None:
    failures = [MemoryError("no room")]

    def compile_one(variant: Variant) -> str:
        if failures:
            raise failures.pop()
        return "compiled"

    variants = Variants(compile_one, (Variant(),))
    with pytest.raises(MemoryError):
        variants[Variant()]
    assert variants[Variant()] == "compiled"


def test_parts_are_a_batch(make: Make, tmp_path: Path) -> None:
    session = load_backend("openvino", make("openvino_detector", tmp_path), OPTIONS).session()
    assert isinstance(session, PartsSession)
    images = pixels(3, 64, 96)
    together = session.infer({"images": images})["output0"]
    parts = session.infer_parts([{"images": images[:1]}, {"images": images[1:]}])["output0"]
    assert np.array_equal(together, parts)
    other = pixels(3, 32, 32)
    parts = session.infer_parts([{"images": other[:2]}, {"images": other[2:]}])["output0"]
    np.testing.assert_allclose(parts, session.infer({"images": values(other)})["output0"], atol=1e-4)


def test_a_read_only_array_is_read_where_it_lies() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    array.flags.writeable = False
    unmarked = writable(array)
    assert unmarked.flags.writeable
    assert np.shares_memory(unmarked, array)
    assert np.array_equal(unmarked, array)
    open_array = np.zeros(2)
    assert writable(open_array) is open_array


def test_answers_belong_to_who_asked(make: Make, tmp_path: Path) -> None:
    session = load_backend("openvino", make("openvino_detector", tmp_path), OPTIONS).session()
    answers = [session.infer({"images": pixels(rows, 64, 96)})["output0"] for rows in (1, 2, 3)]
    kept = [answer.copy() for answer in answers]
    for answer in answers:
        assert answer.flags.owndata
        assert answer.flags.writeable
    session.infer({"images": pixels(4, 64, 96)})
    assert all(np.array_equal(answer, copy) for answer, copy in zip(answers, kept, strict=True))


def test_pixels_of_a_size_that_the_model_cannot_take_are_refused_and_the_next_are_answered(tmp_path: Path) -> None:
    session = load_backend("openvino", identity(tmp_path, [-1, 3, 4, 6]), OPTIONS).session()
    with pytest.raises(BackendFailure):
        session.infer({"images": pixels(1, 5, 6)})
    images = pixels(1, 4, 6)
    np.testing.assert_allclose(session.infer({"images": images})["output0"], values(images), atol=1e-6)


def test_a_first_request_of_another_kind_disturbs_nobody(make: Make, tmp_path: Path) -> None:
    backend = load_backend("openvino", make("openvino_detector", tmp_path), OPTIONS)
    images = pixels(1, 64, 96)
    expected = backend.session().infer({"images": images})["output0"]
    together = threading.Barrier(3)
    answers: list[np.ndarray] = []

    def ask(array: np.ndarray) -> None:
        session = backend.session()
        together.wait()
        answers.extend(session.infer({"images": array})["output0"] for _ in range(5))

    threads = [threading.Thread(target=ask, args=(array,)) for array in (images, values(images), values(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 15
    assert all(np.allclose(answer, expected, atol=1e-4) for answer in answers)
