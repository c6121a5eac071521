"""Small files that claim to be huge images are refused from their header: before their pixels take any memory."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

MOST_MB = 64
_DECODE = """
import resource, sys
from pasarela_server.detection.image import decode_image
from pasarela_server.errors import InvalidRequest
small, bomb = (open(name, "rb").read() for name in sys.argv[1:])
decode_image(small)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_image(bomb, max_pixels=64_000_000)
except InvalidRequest as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


def encoded(kind: str, **options: object) -> bytearray:
    file = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(file, kind, **options)
    return bytearray(file.getvalue())


def jpeg(side: int) -> bytes:
    data = encoded("JPEG")
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def progressive(side: int) -> bytes:
    data = encoded("JPEG", progressive=True)
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def png(side: int) -> bytes:
    """Whole: black, one bit a pixel."""
    rows = zlib.compressobj(9)
    row = bytes(1 + -(-side // 8))
    content = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def webp_lossless(side: int) -> bytes:
    data = encoded("WEBP", lossless=True)
    at = data.index(b"VP8L") + 9
    data[at : at + 4] = struct.pack("<I", (side - 1) | (side - 1) << 14)
    return bytes(data)


def webp_lossy(side: int) -> bytes:
    data = encoded("WEBP", quality=80)
    at = data.index(b"\x9d\x01\x2a") + 3
    data[at : at + 4] = struct.pack("<HH", side, side)
    return bytes(data)


def webp_extended(side: int) -> bytes:
    """With a canvas of its own, as animations have it."""
    canvas = (side - 1).to_bytes(3, "little")
    inner = encoded("WEBP", lossless=True)[12:]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + b"\x00\x00\x00\x00" + canvas + canvas + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp(side: int) -> bytes:
    data = encoded("BMP")
    data[18:26] = struct.pack("<ii", side, side)
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "side"),
    [
        (jpeg, 60_000),
        (progressive, 60_000),
        (png, 30_000),
        (webp_lossless, 16_383),  # reason: larger ones the format does not know
        (webp_lossy, 16_383),
        (webp_extended, 100_000),
        (bmp, 40_000),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_the_header_is_enough(make: Any, side: int, tmp_path: Path) -> None:
    small, bomb = tmp_path / "small", tmp_path / "bomb"
    small.write_bytes(encoded("WEBP") if "webp" in make.__name__ else make(16))
    bomb.write_bytes(make(side))
    assert bomb.stat().st_size < 200_000, "it is small itself"
    ended = subprocess.run(
        [sys.executable, "-c", _DECODE, str(small), str(bomb)], capture_output=True, text=True, check=True
    )
    grown_kb, _, said = ended.stdout.partition(" ")
    assert "pixels allowed" in said
    assert int(grown_kb) < MOST_MB * 1024
