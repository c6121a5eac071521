import io
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pasarela_client import ImageUnreadable, InvalidRequest
from pasarela_client.images import encode_image
from pasarela_proto import detection_pb2 as pb

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_sends_the_file_as_it_is(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "not really.jpg"
    path.write_bytes(b"\xff\xd8 whatever")
    assert encode_image(kind(path)).encoded == b"\xff\xd8 whatever"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_sent_as_they_are(kind: type) -> None:
    assert encode_image(kind(b"\x89PNG")).encoded == b"\x89PNG"


@pytest.mark.parametrize(
    ("channels", "sent"), [("RGB", pb.RawImage.RGB), ("BGR", pb.RawImage.BGR)], ids=["default order", "OpenCV's order"]
)
def test_an_array_is_sent_as_pixels(channels: Any, sent: int) -> None:
    raw = encode_image(PIXELS, channels=channels).raw
    assert (raw.height, raw.width, raw.channels, raw.pixels) == (2, 3, sent, bytes(range(18)))


def test_rows_of_a_view_are_sent_in_order() -> None:
    raw = encode_image(PIXELS[::-1, :2]).raw
    assert (raw.height, raw.width) == (2, 2)
    assert raw.pixels == bytes([9, 10, 11, 12, 13, 14, 0, 1, 2, 3, 4, 5])


def test_a_pillow_image_is_sent_upright_and_as_rgb() -> None:
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    Image.new("L", (4, 2), 200).save(turned, "PNG", exif=exif)
    raw = encode_image(Image.open(turned)).raw
    assert (raw.width, raw.height, raw.channels) == (2, 4, pb.RawImage.RGB)
    assert raw.pixels == bytes([200]) * (2 * 4 * 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PIXELS.astype(np.float32), "float32"),
        (PIXELS[..., 0], r"\(2, 3\)"),
        (np.zeros((2, 3, 4), np.uint8), r"\(2, 3, 4\)"),
        (np.zeros((0, 3, 3), np.uint8), r"\(0, 3, 3\)"),
        (None, "NoneType"),
        (["a.jpg"], "list"),
    ],
    ids=["floats", "grey", "alpha", "no pixels", "nothing", "a list"],
)
def test_other_things_are_refused_with_what_came(image: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        encode_image(image)


def test_an_unknown_channel_order_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'GBR'"):
        encode_image(PIXELS, channels="GBR")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.jpg", "No such file"), ("folder", "directory"), ("empty.jpg", "empty"), ("nul\0.jpg", "null")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageUnreadable, match=message) as raised:
        encode_image(str(tmp_path / name))
    assert name.split("\0", maxsplit=1)[0] in str(raised.value)


@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_url_of_a_local_file_is_its_file(tmp_path: Path, host: str) -> None:
    path = tmp_path / "a street, 100%.jpg"
    path.write_bytes(b"jpeg")
    url = path.as_uri().replace("file://", f"file://{host}", 1)
    assert encode_image(url).encoded == b"jpeg"


@pytest.mark.parametrize("url", ["http://example.org/a.jpg", "https://example.org/a.jpg", "file://elsewhere/a.jpg"])
def test_nothing_is_fetched_from_elsewhere(url: str) -> None:
    with pytest.raises(ImageUnreadable, match="only files of this machine"):
        encode_image(url)


def test_a_path_may_hold_what_looks_like_a_scheme(tmp_path: Path) -> None:
    (tmp_path / "x:").mkdir()
    (tmp_path / "x:" / "a.jpg").write_bytes(b"jpeg")
    assert encode_image(f"{tmp_path}/x://a.jpg").encoded == b"jpeg"


def test_pillow_that_another_thread_is_just_importing_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", types.ModuleType("PIL.Image"))
    assert encode_image(b"bytes").encoded == b"bytes"
    with pytest.raises(InvalidRequest, match="an image is a path"):
        encode_image(object())  # type: ignore[arg-type]


def test_whatever_pillow_stumbles_over_is_a_request_that_cannot_be_sent() -> None:
    strange = io.BytesIO()
    Image.new("RGB", (8, 8)).save(strange, "PNG", exif=b"Exif\x00\x00 is not what this is")
    closed = Image.new("RGB", (8, 8))
    closed.close()
    for image in (Image.open(strange), closed):
        with pytest.raises(InvalidRequest, match="cannot be sent"):
            encode_image(image)
