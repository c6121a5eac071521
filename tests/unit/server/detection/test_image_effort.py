"""Small files that would keep a decoder busy for long are refused; what merely looks like them is decoded."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pasarela_server.detection.effort import CHUNK_BYTES, MOST_CHUNKS, MOST_FILL_BYTES, MOST_SCANS, MOST_SEGMENTS
from pasarela_server.detection.image import decode_image
from pasarela_server.errors import InvalidRequest

SIDE = 16


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def in_scans(count: int, *, each_before: bytes = b"") -> bytes:
    """A grey JPEG: one scan of the means, and so many of nothing else."""
    frame = segment(0xC2, struct.pack(">BHHB", 8, SIDE, SIDE, 1) + b"\1\x11\0")
    means = segment(0xC4, b"\x00" + bytes([1] + [0] * 15) + b"\0")
    rest = segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    head = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + frame + means + rest
    first = segment(0xDA, b"\1\1\0\0\0\0") + b"\0"
    return head + first + (each_before + segment(0xDA, b"\1\1\0\1\x3f\0") + b"\0") * (count - 1) + b"\xff\xd9"


def colour_by_colour(copies: int) -> bytes:
    """A JPEG that is not progressive: each colour is a scan of its own, and the last comes again and again."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, SIDE, SIDE, 3) + b"\1\x11\0\2\x11\0\3\x11\0")
    tables = b"".join(segment(0xC4, bytes((table, 1, *[0] * 15, 0))) for table in (0x00, 0x10))
    head = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + frame + tables
    scans = [segment(0xDA, bytes((1, colour, 0, 0, 63, 0))) + b"\0" for colour in (1, 2, 3)]
    return head + b"".join(scans) + scans[2] * copies + b"\xff\xd9"


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def in_chunks(count: int, content: bytes = b"") -> bytes:
    whole = encoded("PNG")
    at = whole.index(b"IDAT") - 4
    return whole[:at] + chunk(b"prVt", content) * count + whole[at:]


def run_lengths() -> bytes:
    """One row, as Pillow's reader ends it: byte by byte."""
    body = b"\x01\x01\x00\x00"
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, 1, 1, 8, 1, len(body), 0, 0, 256, 256)
    return struct.pack("<2sIHHI", b"BM", 54 + 1024 + len(body), 0, 0, 54 + 1024) + header + bytes(1024) + body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(in_scans(MOST_SCANS + 1), "more than 100 scans", id="scans"),
        pytest.param(colour_by_colour(MOST_SCANS), "more than 100 scans", id="scans of one colour each"),
        pytest.param(
            in_scans(MOST_SCANS + 1, each_before=segment(0xFE, b"\xff\xd9")), "more than 100 scans", id="hidden scans"
        ),
        pytest.param(
            in_scans(MOST_SCANS, each_before=segment(0xFE, b"\xff\xda") * 10), "1,000 segments", id="behind the first"
        ),
        pytest.param(
            encoded("JPEG")[:2] + segment(0xFE, b"") * MOST_SEGMENTS + encoded("JPEG")[2:], "1,000 segments", id="parts"
        ),
        pytest.param(
            encoded("JPEG")[:2] + b"\xff" * (MOST_FILL_BYTES + 1) + encoded("JPEG")[2:], "65,536 fill bytes", id="fill"
        ),
        pytest.param(in_chunks(MOST_CHUNKS + 20), "more than 1,0.. chunks", id="chunks"),
        pytest.param(run_lengths(), "run-length encoded", id="run lengths"),
    ],
)
def test_what_takes_long_is_refused(data: bytes, says: str) -> None:
    for given in (data, memoryview(data)):
        with pytest.raises(InvalidRequest, match=says):
            decode_image(given)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(in_scans(MOST_SCANS), id="as many scans as there may be"),
        pytest.param(encoded("JPEG", progressive=True), id="progressive"),
        pytest.param(colour_by_colour(0), id="a scan for each colour"),
        pytest.param(encoded("JPEG") + b"\xff\xda" * 1000, id="a film behind the picture"),
        pytest.param(encoded("JPEG")[:2] + segment(0xE2, b"\xff\xda" * 1000) + encoded("JPEG")[2:], id="a profile"),
        pytest.param(encoded("JPEG")[:2] + b"\xff" * 100 + encoded("JPEG")[2:], id="some fill"),
        pytest.param(in_chunks(MOST_CHUNKS - 3), id="as many chunks as there may be"),
        pytest.param(in_chunks(2 * MOST_CHUNKS, bytes(CHUNK_BYTES)), id="a large PNG"),
    ],
)
def test_what_only_looks_like_it_is_decoded(data: bytes) -> None:
    assert decode_image(data).shape == (SIDE, SIDE, 3)
