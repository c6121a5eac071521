"""Where the results of a run are written, beside the screen."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pasarela_client.commands import WrongUsage
from pasarela_client.detections import Detections, FrameResult
from pasarela_client.exports import Export, open_export
from pasarela_client.exports.opening import Format
from pasarela_client.images import ImageSource
from pasarela_client.media import Saver

_STDOUT: Final = Path("/dev/stdout")


class Outputs:
    """Pictures, videos and files of results.

    All of them take their places at the end of the `with` block. If it raises, nothing that is not whole is left; but
    what live sources gave is kept, however it ended, because it cannot be had again.
    """

    def __init__(
        self, saver: Saver | None, exports: Mapping[Format, Path], *, overwrite: bool = False, keep: bool = False
    ) -> None:
        """Opens the files of results.

        Args:
            saver: Draws and saves pictures; None if nobody asked for that.
            exports: By format, where.
            overwrite: Whether they may take the places of older ones.
            keep: Whether what was written is kept if the run is ended before its end, as live ones always are.

        Raises:
            ExportFailed: Nothing can be written there.
            InvalidRequest: There is something already.
            MissingExtra: A format needs a package that is not installed.
        """
        self._saver = saver
        self._keep = keep
        self.places: list[str] = []
        """What stands where, after the end."""
        with ExitStack() as opened:
            self._exports: list[Export] = []
            for form, path in exports.items():
                export = open_export(path, form, overwrite=overwrite)
                opened.callback(export.abort)
                self._exports.append(export)
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as rest:
            for export in self._exports:
                rest.callback(export.abort)
            if self._saver is not None:
                rest.callback(self._saver.abort)
            if kind is None or self._keep:
                self._finish()

    def save(self, found: Detections, image: ImageSource | None) -> Path | None:
        """Draws and saves a result; where, or None if nobody asked for that.

        Raises:
            ExportFailed: It cannot be written.
            InvalidRequest: It cannot be drawn.
        """
        return None if self._saver is None else self._saver.save(found, image)

    def add(self, result: FrameResult) -> None:
        """Writes a result into the files.

        Raises:
            ExportFailed: It cannot be written; nothing is left of that file.
        """
        for export in self._exports:
            export.add(result)

    def _finish(self) -> None:
        saver = self._saver
        if saver is not None:
            saver.close()
            self.places += [f"{path} ({saver.saved} with boxes)" for path in saver.paths]
        for export in self._exports:
            path = export.close()
            if not prints(path) and path.exists():
                self.places.append(str(path))


def prints(path: Path) -> bool:
    """Whether what is written there is seen by whoever reads stdout."""
    return path == _STDOUT


def wanted_exports(paths: Mapping[Format, Path | None]) -> dict[Format, Path]:
    """The formats that were asked for; `-` stands for stdout."""
    return {form: _STDOUT if str(path) == "-" else path for form, path in paths.items() if path is not None}


def check_places(exports: Mapping[Format, Path], save: Path | None) -> None:
    """Sees that no output is in the way of another, which would only show at the end, when they take their places.

    Args:
        exports: By format, where.
        save: The place of pictures and videos.

    Raises:
        WrongUsage: Two have one place, or one lies in the folder of labels, which is written anew as a whole.
    """
    named = {f"--{form}": path for form, path in exports.items() if not prints(path)}
    named |= {} if save is None else {"--save": save}
    for (flag, path), (other_flag, other) in itertools.permutations(named.items(), 2):
        place, other_place = path.resolve(), other.resolve()
        if place == other_place or (flag == "--yolo" and other_place.is_relative_to(place)):
            raise WrongUsage(f"{flag} {path} and {other_flag} {other} are in each other's way: name another place")
