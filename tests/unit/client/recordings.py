"""Small videos, made when a test wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def numbered(index: int, *, width: int = 64, height: int = 48) -> Pixels:
    """A picture that says its number: `number_of` reads it, also after a codec."""
    picture = np.zeros((height, width, 3), np.uint8)
    for bit in range(8):
        left, right = bit * width // 8, (bit + 1) * width // 8
        picture[:, left:right] = 255 if index >> bit & 1 else 0
    return picture


def number_of(picture: Pixels) -> int:
    """Which picture this is."""
    width = picture.shape[1]
    return sum(1 << bit for bit in range(8) if picture[:, (2 * bit + 1) * width // 16].mean() > 127)


def noise(index: int, *, width: int = 64, height: int = 48) -> Pixels:
    """A picture that compresses badly, so that a video of them has bytes to lose."""
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)


def record(
    path: Path | str,
    pictures: Iterable[Pixels],
    *,
    rate: int = 10,
    codec: str = "libx264",
    form: str | None = None,
    options: Mapping[str, str] | None = None,
    times: Iterable[float] | None = None,
    degrees: int = 0,
    mirrored: bool = False,
    keep_open: int = 12,
) -> Path:
    """Writes a video.

    Args:
        path: Its suffix decides on the container, if `form` does not.
        pictures: All of one size.
        rate: Pictures a second.
        codec: FFmpeg's name of the encoder.
        form: FFmpeg's name of the container.
        options: For the container.
        times: Seconds of each picture, if they are not spaced evenly.
        degrees: The display matrix turns it so far, counterclockwise.
        mirrored: The display matrix mirrors it, left to right.
        keep_open: Pictures between those that stand alone.
    """
    with av.open(str(path), "w", format=form, options=dict(options or {})) as container:
        track: Any = container.add_stream(codec, rate=rate)
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        track.codec_context.gop_size = keep_open
        tick = Fraction(1, 1000) if times is not None else Fraction(1, rate)
        track.codec_context.time_base = tick
        if degrees or mirrored:
            track.set_display_rotation(degrees, hflip=mirrored)
        when = iter(times) if times is not None else None
        for index, pixels in enumerate(pictures):
            if index == 0:
                track.height, track.width = pixels.shape[:2]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            picture.pts = round(next(when) / tick) if when else index
            picture.time_base = tick
            container.mux(track.encode(picture))
        container.mux(track.encode())
    return Path(path)


def cut(path: Path, part: float) -> Path:
    """Keeps only the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path


def damage(path: Path, at: float, count: int = 600) -> Path:
    """Overwrites bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    begin = int(len(content) * at)
    content[begin : begin + count] = np.random.default_rng(1).integers(0, 255, count, np.uint8).tobytes()
    path.write_bytes(content)
    return path
