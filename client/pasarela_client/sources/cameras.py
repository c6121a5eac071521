"""How FFmpeg is told which camera, and what people are told of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pasarela_client.errors import SourceUnreadable

_LOOK_US: Final = "1000000"
"""For how long FFmpeg looks at what comes before it says what it is, at most: microseconds."""


_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)
_HOST: Final = re.compile(r"(\[[^]]*\]|[^:]*)(:\d*)?")


@dataclass(frozen=True, slots=True)
class Camera:
    """What FFmpeg needs to know."""

    url: str
    name: str
    """For people, without a password."""
    form: str | None = None
    """FFmpeg's name of the format; None lets it find out."""
    options: Mapping[str, str] = field(default_factory=dict)
    may_be_recording: bool = False
    """Whether only opening it tells if it is live."""


def webcam(device: str, platform: str) -> Camera:
    """A camera of this machine.

    Args:
        device: Its number, or on Linux its path.
        platform: As `sys.platform` says it.

    Raises:
        SourceUnreadable: Nobody knows how cameras are called there.
    """
    name = f"webcam:{device}"
    if platform.startswith("linux"):
        path = f"/dev/video{device}" if device.isdecimal() else device
        return Camera(path, path, "v4l2")
    if platform == "darwin":
        return Camera(device, name, "avfoundation", {"framerate": "30"})
    raise SourceUnreadable(f"{name}: cameras of this machine can be read on Linux and macOS; of others by rtsp://")


def network(url: str) -> Camera:
    """A camera or stream of another machine.

    RTSP goes through TCP where the camera lets it, so that no frame is torn. What came while FFmpeg found out what it
    is, is thrown away: else the first seconds would come all at once, and stay behind.
    """
    scheme = scheme_of(url)
    may_be_recording = scheme in {"http", "https"}
    options = {} if may_be_recording else {"fflags": "nobuffer", "analyzeduration": _LOOK_US}
    if scheme in {"rtsp", "rtsps"}:
        options["rtsp_flags"] = "prefer_tcp"
    return Camera(url, without_password(url), options=options, may_be_recording=may_be_recording)


def scheme_of(text: str) -> str:
    """What stands before `://`, in small letters; empty if the text is no address.

    Passwords of cameras hold what an address must not hold, so addresses are not asked to be valid.
    """
    match = _ADDRESS.match(text)
    return match[1].lower() if match else ""


def without_password(url: str) -> str:
    """The address as it may be shown and logged."""
    if not (match := _ADDRESS.match(url)):
        return url
    authority, rest = match[2], url[match.end() :]
    if "@" in authority:
        return f"{match[1]}://{authority.rpartition('@')[2]}{rest}"
    if "@" in rest and not _HOST.fullmatch(authority):  # a password with one of / ? # in it
        return f"{match[1]}://{rest.rpartition('@')[2]}"
    return url
