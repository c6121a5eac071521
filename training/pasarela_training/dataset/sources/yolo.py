"""YOLO labels: a text file for each image, a line for each object, in shares of width and height.

The format is described at https://docs.ultralytics.com/datasets/detect/ and https://docs.ultralytics.com/datasets/segment/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pasarela_training.dataset.image_size import image_size
from pasarela_training.dataset.records import Annotation, BrokenAnnotation, Category, Entry, Fault, Item, SplitName
from pasarela_training.dataset.sources.deepfashion import pick_splits
from pasarela_training.dataset.sources.numbers import BadValue, finite, shown
from pasarela_training.dataset.sources.yolo_settings import find_settings, list_images, read_settings

__all__ = ["YoloSource", "find_settings", "open_yolo"]
_BEYOND = 0.001
"""How far a share may lie outside 0 to 1, for rounding."""


@dataclass(frozen=True, slots=True)
class YoloSource:
    """Opened by `open_yolo`."""

    image_root: Path
    categories: tuple[Category, ...]
    landmark_numbers: int
    """2 or 3 numbers for each landmark; 0 if there are none."""
    found: dict[str, tuple[list[Entry], list[Fault]]] = field(repr=False, compare=False)
    layout: str = "YOLO"

    @property
    def mended(self) -> Mapping[str, int]:
        """Nothing: there is one dialect only."""
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Entries travel by themselves.
        return YoloSource, (self.image_root, self.categories, self.landmark_numbers, {}, self.layout)

    def entries(self, splits: Sequence[SplitName]) -> tuple[list[Entry], list[Fault]]:
        """See `Source.entries`."""
        return pick_splits(self.found, splits, self.image_root)

    def read(self, entry: Entry) -> tuple[Annotation, list[Fault]]:
        """See `Source.read`. Opens the image's header, since labels are shares of its size."""
        file_name = entry.image.relative_to(self.image_root).as_posix()
        try:
            lines = Path(entry.raw).read_bytes().decode("utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        except UnicodeDecodeError as error:
            raise BrokenAnnotation("the labels are not readable as text") from error
        except OSError as error:
            raise BrokenAnnotation(f"the labels are not readable: {error.strerror}") from error
        items: list[Item] = []
        faults: list[Fault] = []
        size = _size(entry.image) if any(line.strip() for line in lines) else (0, 0)
        seen: set[str] = set()
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text:
                continue
            if text in seen:
                reason = "the same line is there twice"
                faults.append(Fault(entry.key, f"line {number}", reason, "dropped", "duplicate"))
                continue
            seen.add(text)
            try:
                items.append(self._item(len(items) + 1, text.split(), size))
            except BadValue as error:
                faults.append(Fault(entry.key, f"line {number}", str(error), "dropped", error.kind))
        return Annotation(entry.key, entry.image_id, file_name, "", 0, tuple(items)), faults

    def _item(self, number: int, words: Sequence[str], size: tuple[int, int]) -> Item:
        category = _class_id(words[0])
        if category is None or not 0 <= category < len(self.categories):
            reason = f"class is {shown(words[0])}, expected 0 to {len(self.categories) - 1}"
            raise BadValue(reason, "unknown category")
        values = [_number(word) for word in words[1:]]
        landmarks: list[float] = []
        per, count = self.landmark_numbers, self.categories[category].landmarks
        if per and len(values) == 4 + per * count:
            landmarks = _landmarks(values[4:], per, size)
            values = values[:4]
        polygons: list[list[float]] = []
        if len(values) == 4:
            x, y, across, down = _shares(values)
            if across <= 0 or down <= 0:
                raise BadValue(f"the box {' '.join(words[1:5])} has no area", "no area")
            shares = (x - across / 2, y - down / 2, x + across / 2, y + down / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:
            points = _shares(values)
            shares = (min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2]))
            if shares[2] <= shares[0] or shares[3] <= shares[1]:
                raise BadValue("the polygon has no area", "no area")
            polygons = [[value * size[place % 2] for place, value in enumerate(points)]]
        else:
            raise BadValue(f"has {len(values)} numbers after the class, expected x y width height, or a polygon")
        width, height = size
        box = (shares[0] * width, shares[1] * height, shares[2] * width, shares[3] * height)
        return Item(number, self.categories[category].id, box, polygons, landmarks)


def open_yolo(root: Path) -> YoloSource:
    """Reads the settings of a folder and lists its images.

    Raises:
        TrainingError: The settings cannot be used, or name images that are not there.
    """
    settings = read_settings(root)
    image_root, found = list_images(root, settings)
    categories = tuple(Category(number, name, settings.landmarks) for number, name in enumerate(settings.names))
    return YoloSource(image_root, categories, settings.landmark_numbers if settings.landmarks else 0, found)


def _size(image: Path) -> tuple[int, int]:
    """Width and height in pixels as the picture is seen, from the header."""
    try:
        return image_size(image)
    except OSError as error:
        raise BrokenAnnotation(f"the image's size cannot be read: {error}", "missing image") from error


def _class_id(word: str) -> int | None:
    text = word.removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _number(word: str) -> float:
    try:
        return finite(float(word))
    except BadValue:
        raise
    except ValueError:
        raise BadValue(f"expected a number, found {shown(word)}") from None


def _shares(values: Sequence[float]) -> list[float]:
    outside = [value for value in values if not -_BEYOND <= value <= 1 + _BEYOND]
    if outside:
        reason = f"has {outside[0]:g}, expected shares of the image from 0 to 1"
        raise BadValue(reason, "outside the image")
    return list(values)


def _landmarks(values: Sequence[float], per: int, size: tuple[int, int]) -> list[float]:
    flat: list[float] = []
    for start in range(0, len(values), per):
        x, y = values[start] * size[0], values[start + 1] * size[1]
        flat += [x, y, values[start + 2] if per == 3 else 2.0]
    return flat
