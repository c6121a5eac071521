import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pasarela_client import Detections, ImageUnreadable, InvalidRequest
from pasarela_client.draw import Style, draw_array, font_size_px, line_width_px, open_picture
from pasarela_client.labels import Rectangle, place_labels
from pasarela_client.lettering import Caption
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


@pytest.mark.parametrize("chunk", [b"eXIf", b"iCCP", b"zTXt"])
def test_a_picture_that_pillow_alone_refuses_is_an_image_that_cannot_be_read(chunk: bytes) -> None:
    """Damaged EXIF data, and texts that are too long for it: the server's decoder looks at neither."""
    content = b"no EXIF data" if chunk == b"eXIf" else b"key\0\0" + zlib.compress(bytes(2_000_000))
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    head, rest = file.getvalue()[:33], file.getvalue()[33:]
    inserted = struct.pack(">I", len(content)) + chunk + content + struct.pack(">I", zlib.crc32(chunk + content))
    with pytest.raises(ImageUnreadable, match="cannot open the image"):
        open_picture(head + inserted + rest)


def test_without_an_argument_the_result_draws_on_its_own_image(found: Detections) -> None:
    pixels = grey(640, 480)
    pixels[..., 0] = 30  # blue, in an array that says BGR
    own = replace(found, image=pixels, channels="BGR")
    drawn = np.asarray(own.draw())
    assert drawn[-1, -1].tolist() == [128, 128, 30]
    assert (drawn == np.asarray(own.draw(pixels))).all()
    assert (drawn != np.asarray(own.draw(pixels, channels="RGB"))).any()
    assert (drawn == np.asarray(found.draw(pixels, channels="BGR"))).all()


def test_an_image_that_is_given_comes_before_its_own(found: Detections) -> None:
    own = replace(found, image=grey(640, 480)[..., ::-1], channels="BGR")
    other = np.zeros((480, 640, 3), np.uint8)
    other[..., 0] = 200
    assert np.asarray(own.draw(other))[-1, -1].tolist() == [200, 0, 0]


def test_without_any_image_it_says_what_to_do(found: Detections) -> None:
    with pytest.raises(InvalidRequest, match=r"without its image: say which, as in found\.draw\('street\.jpg'\)"):
        found.draw()


def test_a_file_that_has_changed_its_size_is_named(tmp_path: Path, found: Detections) -> None:
    path = tmp_path / "street.jpg"
    Image.new("RGB", (320, 240)).save(path)
    with pytest.raises(InvalidRequest, match=r"of 640x480 pixels, .*street\.jpg has 320x240"):
        replace(found, image=path).draw()
    path.unlink()
    with pytest.raises(ImageUnreadable, match=r"street\.jpg"):
        replace(found, image=path).draw()


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["plain", "flipped", "column by column"])
def test_an_array_is_drawn_as_the_picture_is(found: Detections, channels: Any, layout: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    image = {
        "plain": pixels,
        "flipped": pixels[::-1, ::-1],
        "column by column": np.asfortranarray(pixels),
    }[layout]
    before = image.copy()
    drawn = draw_array(image, found, channels=channels)
    assert (drawn.dtype, drawn.shape) == (np.uint8, (480, 640, 3))
    assert drawn.flags.c_contiguous
    assert drawn.flags.writeable
    assert (drawn == np.asarray(found.draw(Image.fromarray(image if channels == "RGB" else image[..., ::-1])))).all()
    assert (image == before).all()


def test_an_array_of_another_size_or_kind_is_refused(found: Detections) -> None:
    with pytest.raises(InvalidRequest, match="640x480 pixels, this one has 320x240"):
        draw_array(grey(320, 240), found)
    with pytest.raises(InvalidRequest, match="float"):
        draw_array(grey(640, 480).astype(float), found)


@pytest.mark.parametrize(
    ("options", "labels", "text"),
    [
        ({}, 1, ("skirt", "0.90")),
        ({"scores": False}, 1, ("skirt",)),
        ({"labels": False}, 1, ("0.90",)),
        ({"labels": False, "scores": False}, 0, None),
    ],
    ids=["both", "names", "scores", "boxes alone"],
)
def test_labels_and_scores_can_be_left_out(
    places: list[Rectangle], options: dict[str, bool], labels: int, text: tuple[str, ...] | None
) -> None:
    drawn = detections(640, 480, [[100, 100, 400, 400]], name="skirt").draw(grey(640, 480), **options)  # type: ignore[arg-type]
    assert len(places) == labels
    assert changed(drawn)[250, 100]
    if text:
        size = Caption(text, font_size_px((640, 480))).size
        assert (places[0].right - places[0].left, places[0].bottom - places[0].top) == size


def test_lines_and_letters_of_a_size_that_is_asked_for(places: list[Rectangle]) -> None:
    found = detections(640, 480, [[100, 100, 400, 400]])
    drawn = np.asarray(found.draw(grey(640, 480), line_width_px=20, font_size_px=40))
    assert (drawn[250, 100:120] == class_colour(0)).all()
    assert (drawn[250, 130] == 128).all()
    assert 40 <= places[0].bottom - places[0].top <= 80


@pytest.mark.parametrize("option", ["line_width_px", "font_size_px"])
def test_sizes_below_a_pixel_are_refused(option: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{option} is at least 1, not 0"):
        Style(**{option: 0})


def test_a_class_has_one_colour_in_all_pictures(found: Detections) -> None:
    alone = np.asarray(found[found.names == "skirt"].draw(grey(640, 480)))
    together = np.asarray(found.draw(grey(640, 480)))
    assert tuple(alone[120, 10]) == tuple(together[120, 10]) == class_colour(8)


@given(
    st.lists(st.tuples(*[st.floats(-50, 150, width=32)] * 4), max_size=4),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_boxes_of_any_kind_are_drawn_on_images_of_any_size(
    boxes: list[tuple[float, ...]], width: int, height: int, line: int, font: int
) -> None:
    found = detections(width, height, [list(box) for box in boxes])
    drawn = draw_array(grey(width, height), found, style=Style(line_width_px=line, font_size_px=font))
    assert drawn.shape == (height, width, 3)
    assert (drawn != 128).any() == bool(boxes)


def test_what_lies_in_the_boxes(found: Detections) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    crops = found.crops(pixels)
    assert [crop.size for crop in crops] == [(100, 200), (200, 300), (90, 180)]
    assert (np.asarray(crops[0]) == pixels[20:220, 10:110]).all()
    assert [crop.size for crop in replace(found, image=pixels).crops()] == [crop.size for crop in crops]
    assert [crop.size for crop in detections(9, 9, [[4, 4, 4, 4], [-3, -3, 0, 0]]).crops(grey(9, 9))] == [
        (1, 1),
        (1, 1),
    ]
