"""YOLO's labels: a folder with a text file an image, and a line a detection: class, centre, size and score.

Centre and size are fractions of the image's width and height. An image on which nothing was found has an empty file,
one that failed has none. `classes.txt` has the names of the classes, that of class 0 in its first line.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

import numpy as np

from pasarela_client.boxes import to_cxcywh, to_fractions
from pasarela_client.detections import Detections, FrameError
from pasarela_client.exports.classes import ClassNames
from pasarela_client.exports.export import Export
from pasarela_client.exports.text import encode_text
from pasarela_client.places import name_stem
from pasarela_client.unfinished import UnfinishedFolder

CLASSES_FILE: Final = "classes.txt"


def is_label_file(path: Path) -> bool:
    """Whether a folder that holds only such files may be replaced by an export."""
    return path.suffix == ".txt"


class YoloExport(Export):
    """Writes YOLO's labels."""

    def __init__(
        self, target: UnfinishedFolder, *, names: Mapping[int, str] | None = None, scores: bool = True
    ) -> None:
        """Begins.

        Args:
            target: Where to write.
            names: All classes of the model; those that are found are added.
            scores: Whether a line ends with the score; training takes lines without it.
        """
        super().__init__(target)
        self._folder = target.partial
        self._names = ClassNames(names)
        self._scores = scores
        self._repeated: dict[str, int] = {}
        """The last number of each stem that came again."""

    def _add_found(self, found: Detections) -> None:
        self._names.note(found)
        # What reaches beyond the image by a rounding would make readers refuse the file.
        width, height = found.image_size
        boxes = np.clip(found.boxes, 0, np.array((width, height, width, height), np.float32))
        places = to_fractions(to_cxcywh(boxes), found.image_size)
        columns = zip(found.class_ids.tolist(), places.tolist(), found.scores.tolist(), strict=True)
        lines = (
            " ".join((str(class_id), *(f"{part:.6f}" for part in (*place, score) if self._scores or part is not score)))
            for class_id, place, score in columns
        )
        with self._open_unused(name_stem(found, self.frames)) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())

    def _add_error(self, error: FrameError) -> None:
        """An image that failed has no file."""

    def _finish(self) -> None:
        if self._names.by_id:
            lines = (self._names.by_id.get(index, f"class_{index}") for index in range(max(self._names.by_id) + 1))
            (self._folder / CLASSES_FILE).write_bytes(encode_text("".join(f"{line}\n" for line in lines)))

    def _open_unused(self, stem: str) -> IO[bytes]:
        """A name that comes again, from another folder, is numbered. The folder itself knows which are taken."""
        for number in itertools.count(self._repeated.get(stem, 0) + 1):
            name = f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt"
            if name.casefold() == CLASSES_FILE:
                continue
            try:
                file = (self._folder / name).open("xb")
            except FileExistsError:
                continue
            if number > 1:
                self._repeated[stem] = number
            return file
        raise AssertionError
