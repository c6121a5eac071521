import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pasarela_client import Detections, ImageUnreadable, InvalidRequest
from pasarela_client.draw import font_size_px, line_width_px, open_picture
from pasarela_client.labels import Rectangle, place_labels
from pasarela_client.palette import class_colour


def grey(width: int, height: int) -> npt.NDArray[Any]:
    return np.full((height, width, 3), 128, np.uint8)


def changed(picture: Image.Image) -> npt.NDArray[Any]:
    different: npt.NDArray[Any] = (np.asarray(picture) != 128).any(axis=2)
    return different


def detections(width: int, height: int, boxes: list[list[float]], name: str = "short_sleeve_top") -> Detections:
    n = len(boxes)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.linspace(0.9, 0.5, n, dtype=np.float32),
        class_ids=np.arange(n, dtype=np.int32),
        names=np.array([name] * n, np.str_),
        image_size=(width, height),
    )


def test_the_edges_of_a_box_have_the_colour_of_its_class(found: Detections) -> None:
    pixels = np.asarray(found.draw(grey(640, 480)))
    for detection in found:
        left, top, right, bottom = (round(edge) for edge in detection.box)
        middle = (top + bottom) // 2
        assert tuple(pixels[middle, left]) == tuple(pixels[middle, right - 1]) == class_colour(detection.class_id)
        assert tuple(pixels[middle, (left + right) // 2]) == (128, 128, 128)


def test_the_image_itself_stays_as_it_was(found: Detections) -> None:
    image = grey(640, 480)
    picture = Image.fromarray(image)
    found.draw(image)
    found.draw(picture)
    assert (image == 128).all()
    assert not changed(picture).any()


def test_nothing_found_nothing_drawn() -> None:
    assert not changed(Detections.empty((64, 48)).draw(grey(64, 48))).any()


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[Rectangle]:
    """Where labels were put, as they are drawn."""
    recorded: list[Rectangle] = []

    def record(*arguments: Any) -> list[Rectangle]:
        recorded.extend(place_labels(*arguments))
        return recorded

    monkeypatch.setattr("pasarela_client.draw.place_labels", record)
    return recorded


@pytest.mark.parametrize(("width", "height"), [(3000, 2000), (640, 480), (64, 64), (30, 200), (200, 12)])
@pytest.mark.parametrize("corner", ["top left", "bottom right", "all of it", "beyond"])
def test_a_label_stands_whole_inside_the_picture(places: list[Rectangle], width: int, height: int, corner: str) -> None:
    """The outermost ring of the label is plain background, so no letter is cut off at any side."""
    edges: dict[str, list[float]] = {
        "top left": [0, 0, width / 3, height / 3],
        "bottom right": [width * 2 / 3, height * 2 / 3, width, height],
        "all of it": [0, 0, width, height],
        "beyond": [-50, -50, width + 50, height + 50],
    }
    picture = detections(width, height, [edges[corner]]).draw(grey(width, height))
    (place,) = places
    assert 0 <= place.left < place.right <= width
    assert 0 <= place.top < place.bottom <= height
    label = np.asarray(picture)[place.top : place.bottom, place.left : place.right]
    background = (label == class_colour(0)).all(axis=2)
    assert background[[0, -1]].all()
    assert background[:, [0, -1]].all()
    assert 0.03 < (~background).mean() < 0.7


def test_a_picture_too_small_for_letters_gets_boxes_alone(places: list[Rectangle]) -> None:
    picture = detections(6, 5, [[1, 1, 5, 4]]).draw(grey(6, 5))
    assert places == []
    assert changed(picture).any()


def test_labels_of_boxes_in_one_place_do_not_hide_each_other() -> None:
    """Of each label at least as much background is seen as of the one drawn alone, less what the box lines cost."""
    box: list[float] = [100, 100, 300, 400]
    together = np.asarray(detections(640, 480, [box] * 6).draw(grey(640, 480)))
    for class_id in range(6):
        seen = (together == class_colour(class_id)).all(axis=2).sum()
        assert seen > 1000


def test_lines_and_letters_grow_with_the_picture() -> None:
    sizes = [(64, 64), (640, 480), (4000, 3000)]
    assert [line_width_px(size) for size in sizes] == [2, 2, 12]
    assert [font_size_px(size) for size in sizes] == [10, 16, 100]


def test_an_image_turned_by_exif_is_drawn_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.new("RGB", (480, 640)).save(path, exif=exif)
    picture = detections(640, 480, [[10, 10, 600, 400]]).draw(path)
    assert picture.size == (640, 480)


@pytest.mark.parametrize("form", ["path", "bytes", "array", "bgr array", "picture"])
def test_every_form_of_image_opens_the_same(tmp_path: Path, form: str) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[..., 0] = 200
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    path = tmp_path / "red.png"
    path.write_bytes(buffer.getvalue())
    picture = {
        "path": lambda: open_picture(path),
        "bytes": lambda: open_picture(buffer.getvalue()),
        "array": lambda: open_picture(pixels),
        "bgr array": lambda: open_picture(pixels[..., ::-1], channels="BGR"),
        "picture": lambda: open_picture(Image.open(path)),
    }[form]()
    assert (np.asarray(picture) == pixels).all()


def test_an_image_of_another_size_is_refused(found: Detections) -> None:
    with pytest.raises(InvalidRequest, match="640x480 pixels, this one has 320x240"):
        found.draw(grey(320, 240))


def test_a_file_that_is_no_image_is_named(tmp_path: Path, found: Detections) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("not an image")
    with pytest.raises(ImageUnreadable, match=r"text\.jpg"):
        found.draw(path)
