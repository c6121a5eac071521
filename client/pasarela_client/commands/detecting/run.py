"""One run of `pasarela detect`, from the sources to the summary."""

from __future__ import annotations

import argparse
import errno
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pasarela_client.commands import WrongUsage
from pasarela_client.commands.connection_flags import connection_of
from pasarela_client.commands.detecting.flags import WINDOW
from pasarela_client.commands.detecting.interrupts import Interrupted, Interrupts
from pasarela_client.commands.detecting.lines import format_result, json_line
from pasarela_client.commands.detecting.outputs import Outputs, check_places, prints, wanted_exports
from pasarela_client.commands.detecting.screen import Screen
from pasarela_client.commands.detecting.summary import format_summary
from pasarela_client.commands.detecting.tally import Tally
from pasarela_client.commands.detecting.wire import as_sent, to_draw_on
from pasarela_client.detections import Detections, FrameError, FrameResult
from pasarela_client.errors import (
    AccessDenied,
    DeadlineExpired,
    ExportFailed,
    FrameDropped,
    ImageUnreadable,
    InvalidModel,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    SourceUnreadable,
    Unsupported,
)
from pasarela_client.frame import Frame
from pasarela_client.media import Saver
from pasarela_client.places import name_place
from pasarela_client.sources import Source, open_source
from pasarela_client.sync.detector import Detector
from pasarela_client.sync.many import ManyResults
from pasarela_client.sync.stream import DetectionStream
from pasarela_client.unfinished import naming

_CONCERNS_ALL: Final = (ModelNotFound, ModelUnavailable, InvalidModel, Unsupported, AccessDenied)
"""What is wrong with one image because of the model, or of who asks, is wrong with all of them."""
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
"""What keeps one picture from being written keeps all of them."""


class Run:
    """Carried out once."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Prepares it.

        Args:
            arguments: What `flags.add_arguments` declares, and the flags of the connection.
        """
        self._arguments = arguments
        self._exports = wanted_exports(
            {"csv": arguments.csv, "coco": arguments.coco, "parquet": arguments.parquet, "yolo": arguments.yolo}
        )
        self._prints_export = any(map(prints, self._exports.values()))
        self._screen = Screen(quiet=arguments.quiet)
        self._interrupts = Interrupts()
        self._tally = Tally()
        self._begun_s = 0.0
        self._places: list[str] = []

    def carry_out(self) -> int:
        """Does all of it; the exit code.

        Raises:
            PasarelaError: Nothing more can be done, for any image.
            ExportFailed: Results cannot be written.
            BrokenPipeError: The reader of the output went away.
        """
        if self._arguments.window is not None and self._arguments.window < 1:
            raise WrongUsage(f"--window: the window is at least 1, not {self._arguments.window}")
        printed = [*filter(prints, self._exports.values()), *filter(None, [self._arguments.json])]
        if len(printed) > 1:
            raise WrongUsage("only one form of results can be printed at a time")
        check_places(self._exports, self._arguments.save)
        try:
            with self._interrupts, self._screen:
                self._detect_on_all()
        except KeyboardInterrupt as interrupt:
            self._sum_up(interrupted=True)
            return interrupt.exit_code if isinstance(interrupt, Interrupted) else 130
        except BrokenPipeError:
            raise
        except Exception:
            self._sum_up()
            raise
        self._sum_up()
        return 0 if self._tally.all_done else 1

    def _detect_on_all(self) -> None:
        asked = self._arguments
        with open_source(
            asked.sources,
            every=asked.every,
            max_frames=asked.max_frames,
            recursive=asked.recursive,
            at_own_speed=asked.live,
            reconnect_s=asked.reconnect,
            on_fault=self._note_fault,
            notify=self._screen.say,
        ) as source:
            saver = self._saver_for(source)
            with (
                Detector(
                    asked.url,
                    asked.model,
                    version=asked.model_version,
                    timeout_s=asked.timeout,
                    connection=connection_of(asked),
                ) as detector,
                Outputs(saver, self._exports, overwrite=asked.overwrite, keep=source.has_cameras) as outputs,
            ):
                self._places = outputs.places
                frames = as_sent(source, asked.jpeg, keep=saver is not None)
                if self._screen.shows_progress:
                    self._screen.begin_progress(source.count, "frames" if source.moving else "images")
                self._begun_s = time.monotonic()
                with self._results(detector, source, frames) as results:
                    for result in results:
                        with self._interrupts.held():
                            self._take(result, outputs)

    def _results(self, detector: Detector, source: Source, frames: Iterator[Frame]) -> DetectionStream | ManyResults:
        """Asks for each image by itself if they are files: then as many are under way as the server takes."""
        asked = self._arguments
        drop = source.live if asked.drop_oldest is None else asked.drop_oldest
        if source.only_image_files and not drop and asked.deadline is None:
            return detector.detect_many(
                frames,
                concurrency=asked.window,
                progress=False,
                confidence=asked.conf,
                iou=asked.iou,
                classes=asked.classes,
                max_detections=asked.max,
            )
        return detector.detect_stream(
            frames,
            window=WINDOW if asked.window is None else asked.window,
            policy="drop-oldest" if drop else "block",
            deadline_s=asked.deadline,
            confidence=asked.conf,
            iou=asked.iou,
            classes=asked.classes,
            max_detections=asked.max,
        )

    def _saver_for(self, source: Source) -> Saver | None:
        target: Path | None = self._arguments.save
        if target is None:
            return None
        with naming(target):
            is_there = target.is_file()
        if is_there and not self._arguments.overwrite:
            raise WrongUsage(f"--save {target}: exists already; say --overwrite to replace it, or name a folder")
        saver = Saver(target, roots=source.roots, fps=source.fps, live=source.has_cameras)
        if saver.takes_one_video and len(source.moving) > 1:
            raise WrongUsage(f"--save {target}: one file takes one video, not {len(source.moving)}; name a folder")
        if saver.takes_one and (source.moving or len(source.image_files) != 1):
            raise WrongUsage(f"--save {target}: one file takes one image; name a folder for more, or a video")
        try:
            saver.check(source.image_files, [Path(name) for name in source.moving])
        except InvalidRequest as error:
            raise WrongUsage(f"--save: {error}") from error
        return saver

    def _take(self, result: FrameResult, outputs: Outputs) -> None:
        if isinstance(result, FrameError) and isinstance(result.error, _CONCERNS_ALL):
            raise result.error
        lost_before = self._tally.lost
        self._tally.add(result, has_deadline=self._arguments.deadline is not None)
        self._screen.advance(self._tally.trouble)  # before the result, under which the bar is drawn anew
        if isinstance(result, Detections):
            self._print(result, self._save(result, outputs))
        else:
            self._tell(result, again=self._tally.lost > lost_before > 0)
        outputs.add(result)

    def _save(self, found: Detections, outputs: Outputs) -> Path | None:
        try:
            return outputs.save(found, to_draw_on(found))
        except (ExportFailed, InvalidRequest) as error:
            if isinstance(error, ExportFailed) and (found.timestamp_s is not None or error.errno in _DISK):
                raise
            self._tally.unsaved += 1
            self._screen.say(f"{found.origin}: {error}")
            return None

    def _print(self, found: Detections, saved: Path | None) -> None:
        timings = self._arguments.timings
        if self._arguments.json:
            self._screen.result(json_line(found, saved, timings=timings))
        elif not (self._arguments.quiet or self._prints_export):
            self._screen.result(format_result(found, saved, timings=timings))

    def _tell(self, result: FrameError, *, again: bool) -> None:
        """Says what failed; not what was left out as was asked for, and of what was lost together only the first."""
        wanted = self._arguments.deadline is not None and isinstance(result.error, DeadlineExpired)
        if wanted or again or isinstance(result.error, FrameDropped):
            return
        place = name_place(result.origin, result.frame_index, result.timestamp_s)
        named = isinstance(result.error, ImageUnreadable) or not place
        self._screen.say(str(result.error) if named else f"{place}: {result.error}")

    def _note_fault(self, error: SourceUnreadable) -> None:
        self._tally.faults += 1
        self._screen.say(str(error))

    def _sum_up(self, *, interrupted: bool = False) -> None:
        """Says what it came to, unless it is plain to see."""
        if self._arguments.quiet or not (self._tally.count > 1 or self._places):
            return
        elapsed_s = time.monotonic() - self._begun_s
        self._screen.note(
            format_summary(self._tally, elapsed_s=elapsed_s, places=self._places, interrupted=interrupted)
        )
