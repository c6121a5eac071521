"""Saves what was found: pictures of still images, videos of videos and cameras."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pasarela_client.detections import Detections
from pasarela_client.draw import draw_array, save_picture
from pasarela_client.errors import ExportFailed, InvalidRequest
from pasarela_client.images import ImageSource
from pasarela_client.media.target_names import PICTURE_SUFFIXES, TargetNames, clashing
from pasarela_client.media.video_writer import CONTAINERS, VideoWriter
from pasarela_client.sources.suffixes import VIDEO_SUFFIXES
from pasarela_client.unfinished import naming


class Saver:
    """Draws results on their images and writes them, each into the place of its own.

    Results come in the order of their frames, those of one video together. A video takes its place when the next one
    begins, or at `close`. One thread at a time.
    """

    def __init__(
        self, target: Path, *, roots: Sequence[Path] = (), fps: float | None = None, live: bool = False
    ) -> None:
        """Prepares the place.

        Args:
            target: A folder, which is made if needed; or a file: .mp4, .mov or .mkv takes all frames as one video,
                .jpg, .png and others one picture.
            roots: Folders that were named: what comes from below them keeps its folders.
            fps: For a video of frames without a time, and as a hint for others.
            live: Whether videos are named after the time as well, because a camera shows something else each time.

        Raises:
            InvalidRequest: It is named like a video of a kind that is not written.
            ExportFailed: The folder cannot be made, or nobody lets us look.
        """
        self.saved = 0
        """Images and frames that were written."""
        self.paths: list[Path] = []
        """Where pictures and videos stand that are whole. Of pictures in a folder, that folder."""
        self._target = target
        with naming(target):
            suffix = "" if target.is_dir() else target.suffix.lower()
        self._one_video = suffix in CONTAINERS
        self._one_picture = suffix in PICTURE_SUFFIXES
        if suffix in VIDEO_SUFFIXES and not (self._one_video or self._one_picture):
            raise InvalidRequest(f"videos are saved as {', '.join(CONTAINERS)}, not as {target.name}")
        folder = target.parent if self._one_video or self._one_picture else target
        _make_folder(folder)
        self._folder = folder
        self._roots = roots
        self._names = TargetNames(folder, roots)
        self._fps = fps
        self._live = live
        self._video: VideoWriter | None = None
        self._video_of = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def takes_one(self) -> bool:
        """Whether there is room for one still image only."""
        return self._one_picture

    @property
    def takes_one_video(self) -> bool:
        """Whether all frames go into one video."""
        return self._one_video

    def check(self, pictures: Sequence[Path], videos: Sequence[Path]) -> None:
        """Sees that nothing that is to be detected on would be overwritten.

        Args:
            pictures: The image files.
            videos: The videos.

        Raises:
            InvalidRequest: Something would.
        """
        if self._one_video or self._one_picture:
            targets = [self._target]
        else:
            names = TargetNames(self._folder, self._roots)
            targets = [names.picture(str(path)) for path in pictures]
            targets += [names.video(str(path)) for path in videos] if not self._live else []
        if clash := clashing(targets, [*pictures, *videos]):
            raise InvalidRequest(f"saving to {self._target} would overwrite {clash}; choose another place")

    def save(self, found: Detections, image: ImageSource | None = None) -> Path:
        """Draws and writes one result.

        Args:
            found: What was found.
            image: What to draw on, if not on what was sent.

        Returns:
            Where the picture stands, or the video will stand.

        Raises:
            ExportFailed: It cannot be written.
            InvalidRequest: It cannot be drawn, as Pillow does not understand the image.
            MissingExtra: Pillow or PyAV is not installed.
        """
        image = found.image if image is None else image
        if image is None:
            raise InvalidRequest("the image of the result is not kept, so there is nothing to draw on")
        if found.timestamp_s is None and not self._one_video:
            return self._save_picture(found, image)
        if isinstance(image, np.ndarray):
            drawn = draw_array(image, found, channels=found.channels)
        else:
            drawn = np.asarray(found.draw(image))
        video = self._video_for(found.origin)
        try:
            video.add(drawn, found.timestamp_s)
        except BaseException:
            if video.given_up:
                self._video = None
                self.saved -= video.frames
            raise
        self.saved += 1
        return video.path

    def close(self) -> None:
        """Finishes the video that was begun.

        Raises:
            ExportFailed: It cannot be written; nothing is left of it.
        """
        video, self._video = self._video, None
        if video is not None:
            self.paths.append(video.close())

    def abort(self) -> None:
        """Gives the video up that was begun; pictures and videos that are whole stay."""
        video, self._video = self._video, None
        if video is not None:
            video.abort()

    def _save_picture(self, found: Detections, image: ImageSource) -> Path:
        target = self._target if self._one_picture else self._names.picture(found.origin or "image")
        if clashing([target], [Path(found.origin)]):
            raise InvalidRequest(f"saving would overwrite {found.origin}")
        _make_folder(target.parent)
        save_picture(found.draw(image), target)
        self.saved += 1
        place = target if self._one_picture else self._folder
        if place not in self.paths:
            self.paths.append(place)
        return target

    def _video_for(self, origin: str) -> VideoWriter:
        if self._video is not None and (self._one_video or self._video_of == origin):
            return self._video
        self.close()
        begun = datetime.now() if self._live else None  # noqa: DTZ005 - people name recordings by their own clocks
        target = self._target if self._one_video else self._names.video(origin, begun)
        if clashing([target], [Path(origin)]):
            raise InvalidRequest(f"saving would overwrite {origin}")
        _make_folder(target.parent)
        self._video, self._video_of = VideoWriter(target, fps=self._fps), origin
        return self._video


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportFailed(f"cannot make the folder {folder}: {error.strerror}", errno=error.errno) from error
