"""Bytes that clients send as images: good ones come out upright and RGB, bad ones are named."""

import io
import math
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from pasarela_server.detection.image import decode_for, decode_image, jpeg_divisor
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.errors import InvalidRequest

RED, GREEN, BLUE = (200, 30, 40), (30, 180, 50), (40, 60, 220)


def drawn(height: int = 48, width: int = 64) -> Image.Image:
    """Three patches: red left above, green right above, blue below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :] = BLUE
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_header(height: int, width: int) -> bytes:
    """A JPEG whose header claims a size, made by patching the frame header of a small one."""
    data = bytearray(encoded(drawn(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def png_header(height: int, width: int) -> bytes:
    """A PNG whose header claims a size, with a correct checksum."""
    data = encoded(drawn(), "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        pytest.param("JPEG", {"quality": 95, "subsampling": 0}, 6, id="baseline JPEG"),
        pytest.param("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 6, id="progressive JPEG"),
        pytest.param("PNG", {}, 0, id="PNG"),
        pytest.param("WEBP", {"lossless": True}, 0, id="lossless WebP"),
        pytest.param("WEBP", {"quality": 95}, 12, id="lossy WebP"),
        pytest.param("BMP", {}, 0, id="BMP"),
    ],
)
def test_every_format_comes_out_as_the_same_pixels(kind: str, options: dict[str, object], tolerance: int) -> None:
    image = decode_image(encoded(drawn(), kind, **options))
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.abs(image[10, 10].astype(int) - RED).max() <= tolerance
    assert np.abs(image[10, 50].astype(int) - GREEN).max() <= tolerance
    assert np.abs(image[40, 30].astype(int) - BLUE).max() <= tolerance


def test_a_memoryview_is_decoded_like_bytes() -> None:
    data = encoded(drawn(), "JPEG")
    assert np.array_equal(decode_image(memoryview(b"xx" + data)[2:]), decode_image(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(kind: str, orientation: int) -> None:
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = drawn() if orientation == 1 else drawn().transpose(turn[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}[kind]
    image = decode_image(encoded(stored, kind, exif=exif.tobytes(), **options))
    assert image.shape == (48, 64, 3)
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - np.asarray(drawn()).astype(int))[4:20, 4:28].max() <= 8
    assert np.abs(image[40, 30].astype(int) - BLUE).max() <= 8


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        pytest.param(Image.new("L", (8, 6), 90), "JPEG", (90, 90, 90), id="grey JPEG"),
        pytest.param(Image.new("CMYK", (8, 6), (0, 255, 255, 0)), "JPEG", (254, 0, 0), id="CMYK JPEG"),
        pytest.param(Image.new("L", (8, 6), 90), "PNG", (90, 90, 90), id="grey PNG"),
        pytest.param(Image.new("I;16", (8, 6), 0x5A33), "PNG", (0x5A,) * 3, id="16-bit PNG"),
        pytest.param(Image.new("1", (8, 6), 1), "PNG", (255, 255, 255), id="1-bit PNG"),
        pytest.param(Image.new("RGB", (8, 6), RED).quantize(4), "PNG", RED, id="palette PNG"),
        pytest.param(Image.new("RGBA", (8, 6), (*RED, 255)), "PNG", RED, id="opaque alpha"),
        pytest.param(Image.new("RGBA", (8, 6), (*RED, 0)), "PNG", (255, 255, 255), id="transparent lies on white"),
        pytest.param(Image.new("LA", (8, 6), (90, 0)), "PNG", (255, 255, 255), id="grey with alpha lies on white"),
        pytest.param(Image.new("RGBA", (8, 6), (*RED, 0)), "WEBP", (255, 255, 255), id="transparent WebP"),
    ],
)
def test_every_colour_model_becomes_rgb(image: Image.Image, kind: str, expected: tuple[int, ...]) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode_image(encoded(image, kind, **options))
    assert pixels.shape == (6, 8, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= 4


def test_a_palette_with_transparent_entries_lies_on_white() -> None:
    image = Image.new("P", (8, 6), 1)
    image.putpalette([0, 0, 0, *RED])
    pixels = decode_image(encoded(image, "PNG", transparency=bytes([255, 0])))
    assert (pixels == 255).all()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "zero bytes", id="nothing"),
        pytest.param(b"hello, this is a letter", "text beginning 'hello, this is a letter'", id="text"),
        pytest.param("señal.jpg".encode(), "text beginning 'señal.jpg'", id="a file name"),
        pytest.param(b"/9j/4AAQSkZJRgABAQ", "base64", id="base64 of a JPEG"),
        pytest.param(b"\x00\x01\x02\x03\x80\x81", "6 bytes beginning with 0x000102038081", id="binary"),
        pytest.param(b"\xff\xd8", "too few", id="two bytes of a JPEG"),
        pytest.param(b"GIF89a" + bytes(40), "GIF", id="GIF"),
        pytest.param(b"II*\0" + bytes(40), "TIFF", id="TIFF"),
        pytest.param(bytes(4) + b"ftypavif" + bytes(40), "AVIF", id="AVIF"),
        pytest.param(encoded(drawn(480, 640), "JPEG")[:-200], "JPEG image ends early", id="JPEG cut in its pixels"),
        pytest.param(encoded(drawn(), "JPEG")[:60], "JPEG", id="JPEG cut in its header"),
        pytest.param(encoded(drawn(480, 640), "PNG")[:-400], "PNG image", id="PNG cut"),
        pytest.param(encoded(drawn(), "WEBP")[:-40], "WebP image", id="WebP cut"),
        pytest.param(encoded(drawn(), "BMP")[:-400], "BMP image ends early", id="BMP cut"),
        pytest.param(jpeg_header(30_000, 30_000), "30000x30000", id="JPEG that claims 900 million pixels"),
        pytest.param(png_header(30_000, 30_000), "30000x30000", id="PNG that claims 900 million pixels"),
        pytest.param(jpeg_header(0, 64), "JPEG image", id="JPEG of no height"),
        pytest.param(png_header(0, 64), "PNG image", id="PNG of no height"),
    ],
)
def test_what_is_no_image_is_refused_by_name(data: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_image(data)
    assert says in str(refusal.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_the_limit_is_the_callers(kind: str) -> None:
    data = encoded(drawn(), kind)
    assert decode_image(data, max_pixels=48 * 64).shape == (48, 64, 3)
    with pytest.raises(InvalidRequest, match="64x48 pixels is larger than the 3,071"):
        decode_image(data, max_pixels=48 * 64 - 1)


def test_a_harmless_blemish_does_not_refuse_a_jpeg() -> None:
    data = encoded(drawn(), "JPEG")
    scan = data.index(b"\xff\xda")
    padded = data[:scan] + b"\x00\x00" + data[scan:]
    assert np.array_equal(decode_image(padded), decode_image(data))


def test_a_blemished_jpeg_that_also_ends_early_is_refused() -> None:
    data = encoded(drawn(480, 640), "JPEG")
    scan = data.index(b"\xff\xda")
    with pytest.raises(InvalidRequest, match="ends early"):
        decode_image((data[:scan] + b"\x00\x00" + data[scan:])[: len(data) // 2])


def test_pillow_keeps_its_own_limits_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # Pillow warns above it: at 48 x 64, for one
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for kind in ("JPEG", "PNG", "WEBP", "BMP"):
            assert decode_image(encoded(drawn(), kind)).shape == (48, 64, 3)
    assert heard == []
    assert Image.MAX_IMAGE_PIXELS == 2000
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP"]), st.data())
def test_damaged_bytes_are_refused_or_decoded_and_never_anything_else(kind: str, data: st.DataObject) -> None:
    good = bytearray(encoded(drawn(), kind))
    for at in data.draw(st.lists(st.integers(4, len(good) - 1), min_size=1, max_size=6)):
        good[at] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(good), max_pixels=1_000_000)
    except InvalidRequest:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.dtype == np.uint8


DIVISORS = [
    ("the network's own size", (320, 320), (320, 320), 1.0, 1),
    ("a little larger", (600, 600), (320, 320), 1.0, 1),
    ("twice as large", (640, 640), (320, 320), 1.0, 2),
    ("twice as large, and twice is to be left", (640, 640), (320, 320), 2.0, 1),
    ("four times as large, and twice is to be left", (1280, 1280), (320, 320), 2.0, 2),
    ("seven times: the next that the decoder does fast is four", (2240, 2240), (320, 320), 1.0, 4),
    ("as much larger as can be", (9000, 9000), (320, 320), 1.0, 8),
    ("nothing said: what leaves accuracy as it is", (640, 640), (320, 320), None, 2),
    ("nothing said, and so large that accuracy would change", (960, 960), (320, 320), None, 1),
    ("nothing said, and not twice as large", (639, 639), (320, 320), None, 1),
    ("whole, whatever it is", (9000, 9000), (320, 320), math.inf, 1),
    ("smaller", (100, 100), (320, 320), 1.0, 1),
    ("stretched: the direction that has less to spare counts", (400, 4000), (320, 320), 1.0, 1),
]


@pytest.mark.parametrize(
    ("size", "resized", "margin", "expected"), [row[1:] for row in DIVISORS], ids=[row[0] for row in DIVISORS]
)
def test_by_how_much_a_jpeg_is_scaled_down(
    size: tuple[int, int], resized: tuple[int, int], margin: float | None, expected: int
) -> None:
    assert jpeg_divisor(size, resized, margin) == expected


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(("height", "width"), [(512, 384), (385, 513)])
def test_a_large_jpeg_is_decoded_smaller_and_lies_where_it_would(height: int, width: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(drawn(height, width), "JPEG", quality=95, subsampling=0, exif=exif.tobytes())
    whole = decode_image(data)

    image = decode_for(data, lambda size: Letterbox.fit(size, (64, 64)).resized, margin=2.0)

    assert image.size == whole.shape[:2]
    assert image.pixels.shape[0] in (-(-whole.shape[0] // 4), -(-whole.shape[0] // 2))
    letterbox = Letterbox.fit(image.size, (64, 64))
    ours, theirs = letterbox.apply(image.pixels).astype(int), letterbox.apply(whole).astype(int)
    # Only where two patches meet do the two ways of scaling differ.
    assert (np.abs(ours - theirs).max(axis=2) > 8).mean() < 0.1


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_other_formats_are_decoded_whole(kind: str) -> None:
    image = decode_for(encoded(drawn(512, 384), kind), lambda size: (32, 24))
    assert image.pixels.shape[:2] == image.size == (512, 384)


def test_a_jpeg_that_is_cut_short_is_refused_when_it_is_scaled_down_too() -> None:
    data = encoded(drawn(512, 384), "JPEG")
    with pytest.raises(InvalidRequest, match="ends early"):
        decode_for(data[: len(data) * 2 // 3], lambda size: (32, 24))
