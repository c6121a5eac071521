"""A container of moving pictures that was opened, and the pictures in it."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pasarela_client.errors import SourceUnreadable
from pasarela_client.sources.completeness import Delivery, Promise, what_is_missing

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_FAILURES_IN_A_ROW: Final = 50
"""After so many failures to read, with nothing in between, nothing more is expected."""
_USUAL_FPS: Final = 25.0


class Opened:
    """The pictures of a container's video track, once from its beginning to its end. One thread at a time."""

    def __init__(self, container: InputContainer, name: str) -> None:
        """Takes the container over, also if this fails.

        Raises:
            SourceUnreadable: There is no video in it, or none that can be decoded.
        """
        self.name = name
        self.damaged = 0
        """Pictures that are not whole, were they given or not, and pieces that could not be read between others."""
        self.missing: str | None = None
        """After the last picture, how the recording was cut short; None if it was not, as far as one can know."""
        self._container = container
        try:
            self._track = _video_track(container, name)
        except BaseException:
            container.close()
            raise
        self._taken = 0
        self._end_s = 0.0
        self._incomplete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file or connection. Not while another thread takes a picture."""
        self._container.close()

    @property
    def duration_s(self) -> float | None:
        """How long it is; None if it does not say, as live sources do not."""
        return self._container.duration / 1_000_000 if self._container.duration else None

    @property
    def fps(self) -> float | None:
        """Pictures a second, on average; None if it does not say."""
        rate = self._track.average_rate or self._track.guessed_rate
        return float(rate) if rate else None

    @property
    def count(self) -> int | None:
        """Number of pictures, as its head says or as follows from length and rate; None if neither is known."""
        return self._track.frames or round((self.duration_s or 0) * (self.fps or 0)) or None

    def pictures(self) -> Iterator[tuple[float, VideoFrame]]:
        """Each picture with its time in seconds from the beginning.

        What cannot be decoded is left out; a picture that is not whole is given as far as it goes, as players do.
        Both count as `damaged`.

        Raises:
            SourceUnreadable: Reading broke off: the disk failed, or the connection.
        """
        from av.error import FFmpegError

        begin = self._track.start_time or 0
        frame_s = 1 / (self.fps or _USUAL_FPS)
        doubtful = 0
        for packet in self._packets():
            try:
                pictures = packet.decode()
            except FFmpegError:
                # The last packet of a recording that was cut short is incomplete, which is said in `missing`.
                self.damaged += packet.size > 0 and not self._incomplete
                doubtful += self._incomplete
                continue
            if packet.size and not self._incomplete:
                self.damaged, doubtful = self.damaged + doubtful, 0
            for picture in pictures:
                when_s = self._taken * frame_s
                if picture.pts is not None and picture.time_base is not None:
                    when_s = max(0.0, float((picture.pts - begin) * picture.time_base))
                self._taken += 1
                self.damaged += picture.is_corrupt
                yield when_s, picture
        self.missing = self.missing or what_is_missing(self._promise(), self._delivery())

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """The packets of the video track, at last one that is empty and makes the decoder give what it has."""
        from av.error import FFmpegError, InvalidDataError

        packets = self._container.demux()
        failures = 0
        while True:
            try:
                packet: Packet[Any] | None = next(packets, None)
            except InvalidDataError:
                failures += 1
                self.damaged += 1
                if failures == _FAILURES_IN_A_ROW:
                    self.missing = f"damaged: nothing can be read after {self._taken} frames"
                    return
                packets = self._container.demux()
                continue
            except (FFmpegError, OSError) as error:
                raise SourceUnreadable(f"{self.name}: reading broke off: {told(error)}") from error
            failures = 0
            if packet is None:
                return
            self._note_end(packet)
            if packet.stream_index == self._track.index:
                yield packet

    def _note_end(self, packet: Packet[Any]) -> None:
        when = packet.pts if packet.pts is not None else packet.dts
        if when is not None and packet.time_base is not None:
            self._end_s = max(self._end_s, float((when + (packet.duration or 0)) * packet.time_base))
        if packet.size and packet.stream_index == self._track.index:
            self._incomplete = packet.is_corrupt

    def _promise(self) -> Promise:
        kind = self._container.format.name
        ends = (entry.pos + entry.size for entry in self._track.index_entries) if "mp4" in kind else ()
        return Promise(
            duration_s=self.duration_s or 0.0,
            frame_s=1 / (self.fps or _USUAL_FPS),
            frame_count=self._track.frames if kind == "avi" else 0,
            file_bytes=max(ends, default=0),
        )

    def _delivery(self) -> Delivery:
        return Delivery(
            end_s=self._end_s,
            frame_count=self._taken,
            file_bytes=self._container.size,
            last_incomplete=self._incomplete,
        )


def told(error: Exception) -> str:
    """What FFmpeg or the system said went wrong, without the names of what it was doing."""
    from av.error import ExitError

    if isinstance(error, ExitError):
        return "nothing came in the time allowed"
    return str(getattr(error, "strerror", None) or error)


def _video_track(container: InputContainer, name: str) -> VideoStream:
    from av.stream import Disposition

    tracks = [track for track in container.streams.video if not track.disposition & Disposition.attached_pic]
    if not tracks:
        kinds = sorted({track.type for track in container.streams if track.type != "video"})
        raise SourceUnreadable(f"{name}: there is no video in it{', only ' + ' and '.join(kinds) if kinds else ''}")
    usable = [track for track in tracks if track.codec_context is not None]
    if not usable:
        raise SourceUnreadable(f"{name}: its video is of a kind that cannot be decoded")
    return usable[0]
