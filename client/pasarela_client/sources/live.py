"""Cameras: of this machine, and of others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pasarela_client.errors import SourceUnreadable
from pasarela_client.frame import Frame
from pasarela_client.sources.backoff import wait_before
from pasarela_client.sources.handover import Handover
from pasarela_client.sources.opened import Opened
from pasarela_client.sources.upright import upright_pixels

_log = logging.getLogger(__name__)

Notify = Callable[[str], None]
"""Is told of a camera that is gone, and of one that is back."""


def log_notice(notice: str) -> None:
    """Tells the log."""
    _log.warning("%s", notice)


class LiveCamera:
    """A source that does not wait, and that comes back when it was gone.

    It is read on a thread of its own, one frame ahead of who takes them: so `open` can be interrupted and `close`
    need not wait, though FFmpeg can neither be interrupted nor told to stop waiting. The thread ends by itself, at the
    latest when the silence has lasted ten seconds.
    """

    live = True
    moving = True
    paths: Sequence[Path] = ()
    count = None

    def __init__(
        self,
        name: str,
        open_it: Callable[[], Opened],
        *,
        every: int = 1,
        reconnect_s: float | None = 60.0,
        notify: Notify = log_notice,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepares it; nothing is opened.

        Args:
            name: For people, without its password.
            open_it: Connects.
            every: Take each so-many-th frame.
            reconnect_s: For how long it may be gone before that is its end; None waits for ever.
            notify: Called on the reading thread.
            clock: Seconds since the epoch, for the times of the frames.
        """
        self.name = name
        self.fps: float | None = None
        self.damaged = 0
        """See `Part`. Counted from the first frame of a connection that could be decoded: before it, pieces of frames
        come whose beginnings were sent before."""
        self._open_it = open_it
        self._every = every
        self._reconnect_s = reconnect_s
        self._notify = notify
        self._clock = clock
        self._handover: Handover[Frame] = Handover()
        self._size: tuple[int, int] | None = None
        self._seen = False
        self._gone_since: float | None = None
        self._attempts = 0
        self._failure: BaseException | None = None
        self._reader: threading.Thread | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Of the frame that came first, once one has come."""
        return self._size

    def open(self) -> None:
        """Connects, and waits for the first frame.

        Raises:
            SourceUnreadable: It does not answer.
        """
        self._start()
        self._handover.wait()
        if self._handover.peek() is None and self._failure is not None:
            raise self._failure

    def frames(self) -> Iterator[Frame]:
        """Its frames as arrays, until it is closed or gone for good.

        Raises:
            SourceUnreadable: It never answered, or did not come back.
        """
        self._start()
        while (frame := self._handover.take()) is not None:
            yield frame
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """See `Part`."""
        self._handover.close()

    def _start(self) -> None:
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, name="pasarela-camera", daemon=True)
            self._reader.start()

    def _read(self) -> None:
        try:
            self._failure = self._read_until_gone()
        except BaseException as error:  # noqa: BLE001 - raised again by who takes the frames
            self._failure = error
        finally:
            self._handover.end()

    def _read_until_gone(self) -> SourceUnreadable | None:
        """Why it is gone for good; None if nobody takes its frames any more."""
        while True:
            error = self._read_connection()
            if error is None or not self._seen:
                return error
            if self._gone_since is None:
                self._gone_since = time.monotonic()
                self._notify(f"{error}; connecting again")
            gone_s = time.monotonic() - self._gone_since
            wait_s = wait_before(self._attempts, gone_s=gone_s, give_up_s=self._reconnect_s)
            if wait_s is None:
                return SourceUnreadable(f"{error}; gone for {gone_s:.0f} s, given up")
            self._attempts += 1
            self._handover.sleep(wait_s)
            if self._handover.closed:
                return None

    def _read_connection(self) -> SourceUnreadable | None:
        """Hands over the frames of one connection; why there are no more, None if nobody takes them any more."""
        try:
            with self._open_it() as opened:
                for frame in self._frames_of(opened):
                    self._note_seen()
                    if not self._handover.put(frame):
                        return None
        except SourceUnreadable as error:
            return error
        return SourceUnreadable(f"{self.name}: it ended")

    def _note_seen(self) -> None:
        if self._gone_since is not None:
            self._notify(f"{self.name}: back after {time.monotonic() - self._gone_since:.1f} s")
        self._seen, self._gone_since, self._attempts = True, None, 0

    def _frames_of(self, opened: Opened) -> Iterator[Frame]:
        before = self.damaged
        for index, (_, picture) in enumerate(opened.pictures()):
            if index == 0:
                self.fps = opened.fps
                self._size = upright_pixels(picture).shape[1::-1]
                before -= opened.damaged
            self.damaged = before + opened.damaged
            if index % self._every == 0:
                yield Frame(upright_pixels(picture), origin=self.name, timestamp_s=self._clock())
