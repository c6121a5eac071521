"""Opens files, addresses and devices with PyAV. The only module that does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pasarela_client.errors import MissingExtra, SourceUnreadable
from pasarela_client.sources.cameras import Camera
from pasarela_client.sources.opened import Opened, told
from pasarela_client.sources.suffixes import HEAD_BYTES

if TYPE_CHECKING:
    from pasarela_client.sources.pipe import Pipe

_TIMEOUTS_S: Final = (10.0, 10.0)
"""How long connecting may take, and the silence before the next piece."""


def require_av() -> None:
    """Sees that PyAV is there.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise MissingExtra("videos and cameras need PyAV: pip install 'pasarela-client[video]'") from error


def open_video(path: Path) -> Opened:
    """A file of moving pictures.

    Raises:
        MissingExtra: PyAV is not installed.
        SourceUnreadable: It cannot be read, or is no video.
    """
    try:
        file: BinaryIO = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise SourceUnreadable(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    with file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise SourceUnreadable(f"cannot read {path}: the file is empty")
    return _open(f"file:{path}", str(path), unfit=_unfit(head))  # else "a:b.mp4" would be taken for a protocol


def open_camera(camera: Camera) -> Opened:
    """What another machine, or a device of this one, sends.

    Raises:
        MissingExtra: PyAV is not installed.
        SourceUnreadable: Nothing answers, or nothing that can be shown.
    """
    return _open(
        camera.url,
        camera.name,
        form=camera.form,
        options=camera.options,
        timeout=_TIMEOUTS_S,
        unfit="what answers there sends no video",
    )


def open_pipe(pipe: Pipe, name: str) -> Opened:
    """A container that is piped in, front to back.

    Raises:
        MissingExtra: PyAV is not installed.
        SourceUnreadable: It is no video, or one that cannot be read front to back.
    """
    return _open(
        pipe,
        name,
        unfit="this is neither a list of paths, nor images, nor a video that can be read front to back (an MP4 must be "
        "fragmented, or have its index at its beginning; Matroska and MPEG-TS always can)",
    )


def _open(
    what: Any,
    name: str,
    *,
    unfit: str,
    form: str | None = None,
    options: Mapping[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> Opened:
    require_av()
    import av
    from av.error import DemuxerNotFoundError, FFmpegError, InvalidDataError

    try:
        container = av.open(what, "r", format=form, options=dict(options or {}), timeout=timeout)
    except (InvalidDataError, DemuxerNotFoundError) as error:
        raise SourceUnreadable(f"{name}: {unfit}") from error
    except (FFmpegError, OSError, ValueError) as error:
        raise SourceUnreadable(f"cannot read {name}: {told(error)}") from error
    return Opened(container, name)


def _unfit(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return "cut short: the index of this MP4 stands at its end and is missing, so nothing of it can be read"
    return "this is no video"
