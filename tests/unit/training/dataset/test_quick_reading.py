import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pasarela_training.dataset.image_size import image_size
from pasarela_training.dataset.sources.files import read_bytes
from pasarela_training.dataset.sources.numbers import BadValue, finite, finite_list

ANYTHING = st.integers() | st.floats() | st.booleans() | st.none() | st.text() | st.lists(st.integers(), max_size=2)


@given(st.lists(st.integers() | st.floats()) | st.lists(ANYTHING))
def test_a_list_of_numbers_is_judged_as_each_of_them_is(values: list[Any]) -> None:
    try:
        expected = [finite(value) for value in values]
    except BadValue as error:
        with pytest.raises(BadValue) as raised:
            finite_list(values)
        assert str(raised.value) == str(error)
    else:
        found = finite_list(values)
        assert (found, set(map(type, found)) <= {float}) == (expected, True)


@pytest.mark.parametrize(
    "more",
    [
        {},  # reason: the frame is near the start
        {"progressive": True},  # reason: another kind of frame
        {"comment": b"x" * 200},  # reason: a comment before the frame
        {"icc_profile": b"x" * 6000},  # reason: the frame is farther back than is read at first
        {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"},  # reason: a quarter turn
    ],
)
def test_sizes_are_found_wherever_the_frame_lies(tmp_path: Path, more: dict[str, Any]) -> None:
    data = BytesIO()
    Image.new("RGB", (300, 70)).save(data, "JPEG", **more)
    (tmp_path / "picture.jpg").write_bytes(data.getvalue())
    assert image_size(tmp_path / "picture.jpg") == ((70, 300) if "exif" in more else (300, 70))


@pytest.mark.parametrize("size", [0, 1, 32_767, 32_768, 32_769, 3_000_000])
def test_files_of_any_size_are_read_whole(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "file").write_bytes(content)
    assert read_bytes(str(tmp_path / "file")) == content


def test_processes_of_the_conversion_load_nothing_heavy() -> None:
    code = "import sys, pasarela_training.dataset.coco_work, pasarela_training.dataset.sources.deepfashion2;"
    code += "print([name for name in ('cv2', 'numpy', 'PIL', 'torch') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
