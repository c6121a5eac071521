"""From what a person names to a source of frames."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final

from pasarela_client.errors import InvalidRequest, SourceUnreadable
from pasarela_client.sources.cameras import Camera, network, webcam, without_password
from pasarela_client.sources.containers import open_camera, open_pipe, open_video
from pasarela_client.sources.live import LiveCamera, Notify, log_notice
from pasarela_client.sources.named import Address, Named, Stills, VideoFile, Webcam, named_by, named_file
from pasarela_client.sources.opened import Opened
from pasarela_client.sources.options import SourceOptions
from pasarela_client.sources.part import Part, Unreadable
from pasarela_client.sources.pipe import Pipe
from pasarela_client.sources.source import OnFault, Source
from pasarela_client.sources.stills import ImageFiles, PipedImages
from pasarela_client.sources.suffixes import HEAD_BYTES, content_of
from pasarela_client.sources.video import RecordedVideo
from pasarela_client.waiting import wait_set

Nameable = str | Path | int
"""A file, folder, glob, sequence, camera or address; see `open_source`."""

_STDIN_NAME: Final = "stdin"


def open_source(
    what: Nameable | Iterable[Nameable],
    *,
    every: int = 1,
    max_frames: int | None = None,
    recursive: bool = False,
    at_own_speed: bool = False,
    jpeg_quality: int | None = None,
    reconnect_s: float | None = 60.0,
    on_fault: OnFault | None = None,
    notify: Notify = log_notice,
    stdin: BinaryIO | None = None,
) -> Source:
    """Frames of files, videos and cameras, for `detect_stream`.

    ::

        with open_source("clip.mp4", every=3) as frames:
            for result in detector.detect_stream(frames):
                print(result.timestamp_s, result)

    Args:
        what: One of these, or several:

            - a file: an image, or a video that PyAV can decode
            - a folder: the images and videos in it, in natural order (`frame9` before `frame10`)
            - a glob: `photos/**/*.png`
            - a numbered sequence: `frames/%06d.jpg`
            - a webcam: `0`, `webcam:0`, `/dev/video0`
            - a stream: `rtsp://…`, `http://…` and others that FFmpeg knows; a video behind `http://` is a recording
            - `file://…`
            - `-`: what is piped in, judged by its first bytes: paths, one a line; JPEG, PNG, WebP or BMP files one
              after the other (MJPEG is that); else a video that can be read front to back
        every: Take each so-many-th frame of a video or camera, and each so-many-th file of several.
        max_frames: End after so many frames.
        recursive: Whether a folder stands for those below it, too.
        at_own_speed: Give recorded frames when their time has come, as a camera would.
        jpeg_quality: Give the frames of videos and cameras as JPEG files of this quality (1 to 95) and not as pixels:
            a fortieth of the bytes to send, for more work here and on the server. Needs Pillow.
        reconnect_s: For how long a camera that was there may be gone before that is its end; None waits for ever.
        on_fault: Is told what cannot be read, and then the rest follows. Without it, that is raised: here, or after
            the frames before it.
        notify: Is told of a camera that is gone, and of one that is back; by default the log is.
        stdin: What `-` reads; None takes that of the process.

    Raises:
        SourceUnreadable: `what` stands for nothing, or its only part cannot be read.
        InvalidRequest: An option is out of its range, or a camera or what is piped in stands beside others.
        MissingExtra: It needs PyAV or Pillow, which is not installed.
    """
    options = SourceOptions(
        every=every,
        max_frames=max_frames,
        recursive=recursive,
        at_own_speed=at_own_speed,
        jpeg_quality=jpeg_quality,
        reconnect_s=reconnect_s,
    )
    arguments = [what] if isinstance(what, str | Path | int) else list(what)
    name = without_password(str(arguments[0])) if len(arguments) == 1 else f"{len(arguments)} sources"
    if "-" in arguments:
        if len(arguments) > 1:
            raise InvalidRequest("what is piped in (-) stands alone, not beside other sources")
        pipe = Pipe(stdin or sys.stdin.buffer)
        return Source(piped_parts(pipe, options), options, name=_STDIN_NAME, on_fault=on_fault, when_closed=pipe.close)
    named: list[Named] = []
    parts: list[Part] = []
    for argument in arguments:
        with _told(on_fault):
            named += named_by(argument, recursive=recursive)
    for one in _joined(named):
        with _told(on_fault):
            parts.append(_part(one, options, notify))
    if len(parts) > 1 and any(part.live for part in parts):
        raise InvalidRequest("a camera stands alone, not beside other sources: it has no end that they could wait for")
    if len(parts) == 1:
        with _told(on_fault, parts.clear):
            parts[0].open()
    return Source(parts, options, name=name, roots=_roots(named), on_fault=on_fault)


def piped_parts(pipe: Pipe, options: SourceOptions) -> Iterator[Part]:
    """What is piped in, judged by its first bytes, which this waits for."""
    head = pipe.peek(HEAD_BYTES)
    if not head:
        return
    match content_of(head):
        case "images":
            yield PipedImages(pipe, _STDIN_NAME, every=options.every)
        case "video":
            yield RecordedVideo(
                _STDIN_NAME, partial(open_pipe, pipe, _STDIN_NAME), every=options.every, rewindable=False
            )
        case "paths":
            yield from _listed_parts(pipe, options)


def _listed_parts(pipe: Pipe, options: SourceOptions) -> Iterator[Part]:
    """What the lines name, as soon as they come. Nothing in them is a pattern."""
    number = 0
    while (line := pipe.line()) is not None:
        if not line.strip():
            continue
        try:
            one = named_file(Path(os.fsdecode(line)))
        except SourceUnreadable as error:
            yield Unreadable(error)
            continue
        number += 1
        if isinstance(one, VideoFile):
            yield _video(one, options)
        elif (number - 1) % options.every == 0:
            yield ImageFiles(one.paths)


def _part(one: Named, options: SourceOptions, notify: Notify) -> Part:
    match one:
        case Stills():
            return ImageFiles(one.paths, every=options.every)
        case VideoFile():
            return _video(one, options)
        case Webcam():
            return _camera(webcam(one.device, sys.platform), options, notify)
        case Address():
            return _stream(network(one.url), options, notify)


def _video(one: VideoFile, options: SourceOptions) -> RecordedVideo:
    return RecordedVideo(str(one.path), partial(open_video, one.path), every=options.every)


def _camera(camera: Camera, options: SourceOptions, notify: Notify, first: Opened | None = None) -> LiveCamera:
    return LiveCamera(
        camera.name,
        _OpenedFirst(partial(open_camera, camera), first),
        every=options.every,
        reconnect_s=options.reconnect_s,
        notify=notify,
    )


def _stream(camera: Camera, options: SourceOptions, notify: Notify) -> Part:
    """Something at an address: what says how long it is, is a recording."""
    if not camera.may_be_recording:
        return _camera(camera, options, notify)
    opened = _interruptibly(partial(open_camera, camera))
    if opened.duration_s is None:
        return _camera(camera, options, notify, opened)
    opened.close()
    return RecordedVideo(camera.name, partial(open_camera, camera), every=options.every)


class _OpenedFirst:
    """Opens something, except for the first time: then it was opened before."""

    def __init__(self, open_it: Callable[[], Opened], first: Opened | None) -> None:
        self._open_it = open_it
        self._first = first

    def __call__(self) -> Opened:
        first, self._first = self._first, None
        return first or self._open_it()


def _interruptibly(open_it: Callable[[], Opened]) -> Opened:
    """Opens something on another thread, because Ctrl-C does not reach FFmpeg while it connects."""
    answer: list[Opened | Exception] = []
    answered = threading.Event()

    def run() -> None:
        try:
            answer.append(open_it())
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            answer.append(error)
        finally:
            answered.set()

    threading.Thread(target=run, name="pasarela-connect", daemon=True).start()
    wait_set(answered)
    (opened,) = answer
    if isinstance(opened, Exception):
        raise opened
    return opened


def _joined(named: Iterable[Named]) -> Iterator[Named]:
    """Stills that follow each other as one."""
    for still, run in groupby(named, key=lambda one: isinstance(one, Stills)):
        if still:
            yield Stills(tuple(path for one in run if isinstance(one, Stills) for path in one.paths))
        else:
            yield from run


def _roots(named: Iterable[Named]) -> tuple[Path, ...]:
    roots = (one.root for one in named if isinstance(one, Stills | VideoFile))
    return tuple(dict.fromkeys(root for root in roots if root is not None))


@contextmanager
def _told(on_fault: OnFault | None, then: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Tells what cannot be read; raises it if there is nobody to be told."""
    try:
        yield
    except SourceUnreadable as error:
        if on_fault is None:
            raise
        then()
        on_fault(error)
