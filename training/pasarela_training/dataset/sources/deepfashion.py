"""DeepFashion of 2016, its Category and Attribute benchmark: lists of all images, one box for each.

The lists are described in the README of the benchmark: a line with the number of rows, a header, then the rows with
their columns padded by runs of spaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pasarela_training.dataset.records import (
    Annotation,
    BrokenAnnotation,
    Category,
    Entry,
    Fault,
    ImageKey,
    Item,
    SplitName,
)
from pasarela_training.dataset.sources.files import folder_that_holds, folders_below, listing, usable_name
from pasarela_training.errors import TrainingError

BOXES, CATEGORIES = "list_bbox.txt", "list_category_cloth.txt"
CATEGORY_OF_IMAGE, PARTITION = "list_category_img.txt", "list_eval_partition.txt"
LISTS = (BOXES, CATEGORIES, CATEGORY_OF_IMAGE, PARTITION)
_DEPTH = 3
_SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}
_TYPES = {"1": "upper-body", "2": "lower-body", "3": "full-body"}


@dataclass(frozen=True, slots=True)
class DeepFashionSource:
    """Opened by `open_deepfashion`."""

    image_root: Path
    categories: tuple[Category, ...]
    found: dict[str, tuple[list[Entry], list[Fault]]] = field(repr=False, compare=False)
    layout: str = "DeepFashion (2016)"

    @property
    def mended(self) -> Mapping[str, int]:
        """Nothing: there is one dialect only."""
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Entries travel by themselves.
        return DeepFashionSource, (self.image_root, self.categories, {}, self.layout)

    def entries(self, splits: Sequence[SplitName]) -> tuple[list[Entry], list[Fault]]:
        """See `Source.entries`."""
        return pick_splits(self.found, splits, self.image_root)

    def read(self, entry: Entry) -> tuple[Annotation, list[Fault]]:
        """See `Source.read`."""
        name, box, category = entry.raw
        known = {one.id for one in self.categories}
        if category is None:
            raise BrokenAnnotation(f"{CATEGORY_OF_IMAGE} does not name this image", "missing annotation")
        if not _is_number(category) or int(category) not in known:
            raise BrokenAnnotation(f"category is {category!r}, expected 1 to {len(known)}", "unknown category")
        if len(box) != 4 or not all(_is_number(corner) for corner in box):
            raise BrokenAnnotation(f"the box is {' '.join(box)!r}, expected x_1 y_1 x_2 y_2", "bad value")
        left, top, right, bottom = (float(corner) for corner in box)
        if right <= left or bottom <= top:
            raise BrokenAnnotation(f"the box {' '.join(box)} has no area", "no area")
        item = Item(1, int(category), (left, top, right, bottom))
        file_name = entry.image.relative_to(self.image_root).as_posix()
        return Annotation(entry.key, entry.image_id, file_name, "", 0, (item,), name.rpartition("/")[0]), []


def pick_splits(
    found: Mapping[str, tuple[list[Entry], list[Fault]]], splits: Sequence[str], root: Path
) -> tuple[list[Entry], list[Fault]]:
    """The entries and faults of some splits.

    Raises:
        TrainingError: One of them is not there.
    """
    for split in splits:
        if split not in found:
            raise TrainingError(
                f"{root} has no '{split}' split, only {', '.join(sorted(found)) or 'none'}; change sample.splits"
            )
    chosen = sorted(set(splits))
    entries = sorted((entry for split in chosen for entry in found[split][0]), key=lambda entry: entry.key)
    return entries, [fault for split in chosen for fault in found[split][1]]


def find_lists(root: Path) -> dict[str, Path]:
    """The lists by name, wherever they lie up to three folders deep."""
    found: dict[str, Path] = {}
    for folder in folders_below(root, _DEPTH):
        for name in LISTS:
            if name not in found and (folder / name).is_file():
                found[name] = folder / name
    return found


def open_deepfashion(root: Path) -> DeepFashionSource:
    """Reads the lists below a folder.

    Raises:
        TrainingError: A list is missing or cannot be read, or the images are not there.
    """
    lists = find_lists(root)
    for name in (BOXES, CATEGORIES, CATEGORY_OF_IMAGE):
        if name not in lists:
            raise TrainingError(f"{root} lacks {name}, which DeepFashion (2016) needs beside {', '.join(lists)}")
    categories = tuple(
        Category(number, " ".join(row[:-1]), 0, _TYPES.get(row[-1], ""))
        for number, (_, row) in enumerate(_rows(lists[CATEGORIES]), start=1)
    )
    category_of = {row[0]: " ".join(row[1:]) for _, row in _rows(lists[CATEGORY_OF_IMAGE])}
    partition = {row[0]: row[-1] for _, row in _rows(lists[PARTITION])} if PARTITION in lists else None
    found: dict[str, tuple[list[Entry], list[Fault]]] = {}
    rows = _rows(lists[BOXES])
    names = [row[0] for _, row in rows]
    base = folder_that_holds(names, folders_below(root, _DEPTH - 1))
    if base is None:
        raise TrainingError(
            f"{lists[BOXES]} names images such as {names[0] if names else '(none)'}, which lie nowhere below {root} "
            f"(it holds {listing(root)})"
        )
    taken: set[str] = set()
    for number, (line, row) in enumerate(rows, start=1):
        name = row[0]
        written = "train" if partition is None else partition.get(name, "")
        split = _SPLIT_NAMES.get(written, "train")
        entries, faults = found.setdefault(split, ([], []))
        key = ImageKey(split, name)
        if usable_name(name) != name:
            faults.append(Fault(key, f"line {line}", "the name leads out of the dataset", "dropped", "bad value"))
        elif name in taken:
            faults.append(Fault(key, f"line {line}", f"{BOXES} names it twice", "dropped", "duplicate"))
        elif written not in _SPLIT_NAMES:
            reason = f"{PARTITION} says {written!r} of it, expected train, val or test"
            faults.append(Fault(key, "image", reason, "dropped", "bad value" if written else "missing annotation"))
        else:
            raw = (name, tuple(row[1:]), category_of.get(name))
            entries.append(Entry(key, number, base / name, raw))
        taken.add(name)
    return DeepFashionSource(root, categories, found)


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and columns of the rows of a list, without count and header."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}") from error
    if not lines[0].strip().isdecimal():
        raise TrainingError(f"{path}:1: expected the number of rows, found {lines[0][:60]!r}")
    rows = [(number, columns) for number, line in enumerate(lines, start=1) if number > 2 and (columns := line.split())]
    if len(rows) != int(lines[0]):
        raise TrainingError(f"{path}:1: says {int(lines[0])} rows, {len(rows)} follow; is the file cut short?")
    return rows


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 10
