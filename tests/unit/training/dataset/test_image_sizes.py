from pathlib import Path

import pytest
from PIL import Image

from pasarela_training.dataset.image_size import image_size


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize(
    ("orientation", "size"),
    [
        (None, (100, 200)),  # reason: as it lies
        (3, (100, 200)),  # reason: upside down keeps width and height
        (6, (200, 100)),  # reason: a quarter turn swaps them, and viewers apply it
    ],
)
def test_sizes_are_those_of_the_picture_as_it_is_seen(
    tmp_path: Path, suffix: str, orientation: int | None, size: tuple[int, int]
) -> None:
    path = tmp_path / f"picture.{suffix}"
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.new("RGB", (100, 200)).save(path, exif=exif)
    with Image.open(path) as image:
        keeps_it = orientation is None or image.getexif().get(0x0112) == orientation
    assert image_size(path) == (size if keeps_it else (100, 200))


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"])
def test_what_is_no_image_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    with pytest.raises(OSError, match="not an image"):
        image_size(path)


def test_a_missing_image_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        image_size(tmp_path / "none.jpg")
