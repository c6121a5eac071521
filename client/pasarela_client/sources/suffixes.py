"""What a file is by its name and its first bytes. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""What counts as an image in a folder; a file that is named itself may be called as it likes."""

VIDEO_SUFFIXES: Final = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".asf"),
        *(".flv", ".3gp", ".ogv", ".mxf", ".gif", ".y4m", ".mjpeg", ".mjpg", ".h264", ".264", ".h265", ".hevc"),
    }
)
"""What counts as a video in a folder."""

HEAD_BYTES: Final = 16
"""So many first bytes tell what something is."""

Content = Literal["images", "video", "paths"]

_IMAGE: Final = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|BM....\0\0\0\0", re.DOTALL)
_VIDEO_LIKE_TEXT: Final = (b"YUV4MPEG2 ", b"GIF8", b"#EXTM3U", b"--", b"\r\n--")
"""Videos whose first bytes could be read as text; a path that begins so is written as `./--name`."""
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def content_of(head: bytes) -> Content:
    """What bytes that come through a pipe are, judged by the first of them.

    Args:
        head: At least `HEAD_BYTES`, or all there are.

    Returns:
        `images` for JPEG, PNG, WebP or BMP files, one after the other (MJPEG is JPEG files, one after the other);
        `paths` for text; `video` for anything else.
    """
    if _IMAGE.match(head):
        return "images"
    return "video" if head.startswith(_VIDEO_LIKE_TEXT) or _CONTROL.search(head) else "paths"


def is_video(suffix: str, head: bytes) -> bool:
    """Whether a file that was named by itself is a video; if not, the server may judge it as an image.

    Args:
        suffix: Of its name, with the dot.
        head: Its first `HEAD_BYTES`; fewer if it is shorter.
    """
    if suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        return suffix.lower() in VIDEO_SUFFIXES
    return content_of(head) == "video"
