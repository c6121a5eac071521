"""The EXIF reader by hand: both byte orders, and blocks that are broken."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.detection.exif import jpeg_exif, orientation


def block(order: str, tag: int = 0x0112, kind: int = 3, value: int = 6, *, directory: int = 8) -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0)
    return head + struct.pack(f"{order}IH", directory, 1) + entry


@pytest.mark.parametrize(
    ("tiff", "expected"),
    [
        pytest.param(block("<"), 6, id="little-endian"),
        pytest.param(block(">"), 6, id="big-endian"),
        pytest.param(b"Exif\0\0" + block(">"), 6, id="with the prefix that PNG and WebP keep"),
        pytest.param(block("<", value=0), 1, id="value below the range"),
        pytest.param(block("<", value=9), 1, id="value above the range"),
        pytest.param(block("<", tag=0x0110), 1, id="another tag"),
        pytest.param(block("<", kind=4), 1, id="wrong type"),
        pytest.param(block("<", directory=4000), 1, id="directory outside the block"),
        pytest.param(block("<")[:14], 1, id="cut in the entry"),
        pytest.param(b"nonsense", 1, id="no TIFF"),
        pytest.param(b"", 1, id="nothing"),
    ],
)
def test_orientation(tiff: bytes, expected: int) -> None:
    assert orientation(tiff) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"\xff\xd8\xff\xe1\x00\x0aExif\0\0ab\xff\xda", b"ab", id="first segment"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x04xx\xff\xe1\x00\x0aExif\0\0ab\xff\xda", b"ab", id="after JFIF"),
        pytest.param(b"\xff\xd8\xff\xff\xff\xe1\x00\x0aExif\0\0ab\xff\xda", b"ab", id="after fill bytes"),
        pytest.param(b"\xff\xd8\xff\xe1\x00\x0ahttp:/ab\xff\xe1\x00\x0aExif\0\0cd", b"cd", id="after XMP"),
        pytest.param(b"\xff\xd8\xff\xda\x00\x04xx\xff\xe1\x00\x0aExif\0\0ab", b"", id="not behind the pixels"),
        pytest.param(b"\xff\xd8\xff\xe1\x00", b"", id="cut"),
        pytest.param(b"\xff\xd8", b"", id="no segments"),
    ],
)
def test_jpeg_exif(data: bytes, expected: bytes) -> None:
    assert jpeg_exif(data) == expected


@given(st.binary(max_size=200))
def test_nonsense_never_raises(data: bytes) -> None:
    assert 1 <= orientation(jpeg_exif(b"\xff\xd8" + data)) <= 8
    assert 1 <= orientation(b"II*\0" + data) <= 8
