"""Pictures on disk: whole, or not there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pasarela_client import ExportFailed, InvalidRequest
from tests.unit.client.full_disk import small_files
from tests.unit.client.made_results import make_found

IMAGE = np.full((480, 640, 3), 90, np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.png", "PNG"), ("größer 🧥.webp", "WEBP")]
)
def test_the_suffix_decides_the_format(tmp_path: Path, name: str, kind: str) -> None:
    path = make_found(image=IMAGE).save(tmp_path / name)
    assert path == tmp_path / name
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == (kind, (640, 480))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_it_is_drawn_as_asked(tmp_path: Path) -> None:
    make_found().save(str(tmp_path / "a.png"), IMAGE, labels=False, scores=False)
    with Image.open(tmp_path / "a.png") as picture:
        assert (np.asarray(picture) == np.asarray(make_found().draw(IMAGE, labels=False, scores=False))).all()


def test_an_older_picture_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("old")
    make_found(image=IMAGE).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (640, 480)


@pytest.mark.parametrize("name", ["a", "a.txt", "a.jpg.gz"])
def test_a_suffix_of_no_picture_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot save a picture as"):
        make_found(image=IMAGE).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match=r"cannot write .*gone/a\.jpg: No such file or directory"):
        make_found(image=IMAGE).save(tmp_path / "gone" / "a.jpg")


def test_a_full_disk_leaves_the_older_picture(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_text("old")
    with small_files(), pytest.raises(ExportFailed, match=r"cannot write .*a\.bmp: File too large"):
        make_found(image=IMAGE).save(tmp_path / "a.bmp")
    assert (tmp_path / "a.bmp").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
