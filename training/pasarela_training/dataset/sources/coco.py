"""COCO: one JSON for each split, above or beside the images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pasarela_training.dataset.records import Annotation, Category, Entry, Fault, ImageKey, Item, SplitName
from pasarela_training.dataset.sources.coco_dialect import Id, read_item, usable_id
from pasarela_training.dataset.sources.coco_document import Document, Picture, load_document
from pasarela_training.dataset.sources.deepfashion import pick_splits
from pasarela_training.dataset.sources.files import folder_that_holds, folders_below, names_in
from pasarela_training.dataset.sources.numbers import BadValue, shown
from pasarela_training.errors import TrainingError

_DEPTH = 2
_MOST_FILES = 64
_HEAD = 1 << 16
_SPLITS = (("train", "train"), ("valid", "validation"), ("val", "validation"), ("test", "test"))


@dataclass(frozen=True, slots=True)
class CocoSource:
    """Opened by `open_coco`."""

    image_root: Path
    categories: tuple[Category, ...]
    mended: Mapping[str, int]
    found: dict[str, tuple[list[Entry], list[Fault]]] = field(repr=False, compare=False)
    layout: str = "COCO"

    def __reduce__(self) -> tuple[Any, ...]:
        # Entries travel by themselves.
        return CocoSource, (self.image_root, self.categories, dict(self.mended), {}, self.layout)

    def entries(self, splits: Sequence[SplitName]) -> tuple[list[Entry], list[Fault]]:
        """See `Source.entries`."""
        return pick_splits(self.found, splits, self.image_root)

    def read(self, entry: Entry) -> tuple[Annotation, list[Fault]]:
        """See `Source.read`."""
        picture: Picture = entry.raw
        known: dict[Id, Category] = {category.id: category for category in self.categories}
        items: list[Item] = []
        faults: list[Fault] = []
        for place, (number, category_id, crowd, content) in enumerate(picture.annotations, start=1):
            where = f"annotation {number}" if isinstance(number, int) else number
            try:
                item, reasons = read_item(place, content, _category(known, category_id), crowd)
            except BadValue as error:
                faults.append(Fault(entry.key, where, str(error), "dropped", error.kind))
                continue
            items.append(item)
            faults += [Fault(entry.key, where, reason, "kept", "bad value") for reason in reasons]
        file_name = entry.image.relative_to(self.image_root).as_posix()
        return (
            Annotation(entry.key, entry.image_id, file_name, picture.source, picture.pair_id, tuple(items)),
            faults,
        )


def _category(known: Mapping[Id, Category], category_id: Id) -> Category:
    if category_id not in known:
        raise BadValue(f"category_id is {shown(category_id)}, which no category has", "unknown category")
    return known[category_id]


def find_documents(root: Path) -> dict[str, Path]:
    """The document of each split, at most two folders deep.

    Where `instances_*.json` lie beside others of COCO's (captions, keypoints), they alone count.

    Raises:
        TrainingError: Two documents could be that of one split.
    """
    found: dict[str, Path] = {}
    for folder in folders_below(root, _DEPTH):
        names = names_in(folder, ".json")
        if len(names) > _MOST_FILES:
            continue
        instances = [name for name in names if name.startswith("instances_")]
        for name in instances or names:
            path = folder / name
            if not _looks_like_coco(path):
                continue
            split = _split_of(path, root)
            if split in found:
                raise TrainingError(
                    f"{root}: {found[split].relative_to(root)} and {path.relative_to(root)} could both be the "
                    f"document of the '{split}' split; move one of them away"
                )
            found[split] = path
    return found


def open_coco(root: Path) -> CocoSource:
    """Reads the documents of a folder.

    Raises:
        TrainingError: One cannot be used, they do not fit together, or the images are not there.
    """
    documents = [load_document(path, split) for split, path in sorted(find_documents(root).items())]
    if not documents:
        raise TrainingError(f"{root} has no COCO document, at most {_DEPTH} folders deep")
    mended: Counter[str] = Counter()
    categories: dict[Id, Category] = {}
    for document in documents:
        mended.update(document.mended)
        for number, category in document.categories.items():
            if categories.setdefault(number, category).name != category.name:
                raise TrainingError(
                    f"{document.path}: category {number} is '{category.name}', elsewhere '{categories[number].name}'"
                )
    numbers = _image_ids(documents, mended)
    folders = folders_below(root, _DEPTH)
    found: dict[str, tuple[list[Entry], list[Fault]]] = {}
    for document in documents:
        base = _image_folder(document, root, folders)
        entries = [
            Entry(key, numbers[key], base / picture.name, picture)
            for picture in document.pictures
            for key in (ImageKey(document.split, picture.name),)
        ]
        found[document.split] = (sorted(entries, key=lambda entry: entry.key), document.faults)
    ordered = tuple(sorted(categories.values(), key=lambda category: category.id))
    return CocoSource(root, ordered, dict(sorted(mended.items())), found)


def _image_ids(documents: Sequence[Document], mended: Counter[str]) -> dict[ImageKey, int]:
    """As they are if that names each image of all documents, else counted in the order of keys."""
    ids: dict[ImageKey, Id] = {
        ImageKey(document.split, picture.name): picture.id for document in documents for picture in document.pictures
    }
    kept = {key: number for key, number in ids.items() if isinstance(number, int) and usable_id(number)}
    if len(kept) == len(ids) == len(set(kept.values())):
        return kept
    mended["images renumbered"] += len(ids)
    return {key: number for number, key in enumerate(sorted(ids), start=1)}


def _image_folder(document: Document, root: Path, folders: Sequence[Path]) -> Path:
    near = [document.path.parent, document.path.parent / "images"]
    of_split = [folder for folder in folders if _split_word(folder.name) == document.split]
    names = [picture.name for picture in document.pictures]
    inside = [folder / "images" for folder in of_split]
    base = folder_that_holds(names, [*near, *of_split, *inside, *folders])
    if base is None and names:
        raise TrainingError(f"{document.path} names images such as {names[0]}, which lie nowhere below {root}")
    return base or root


def _split_of(path: Path, root: Path) -> str:
    """By the file's name, else by that of a folder above it; without any, `train`."""
    for name in (
        path.stem,
        *(folder.name for folder in path.parents if folder.is_relative_to(root) and folder != root),
    ):
        split = _split_word(name)
        if split:
            return split
    return "train"


def _split_word(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((split for word in words for start, split in _SPLITS if re.match(rf"{start}(idation)?\d*$", word)), "")


def _looks_like_coco(path: Path) -> bool:
    """Whether a file begins or ends like a COCO document; its content is judged later."""
    try:
        with path.open("rb") as file:
            text = file.read(_HEAD)
            file.seek(max(0, path.stat().st_size - _HEAD))
            text += file.read()
    except OSError:
        return False
    return text.lstrip()[:1] == b"{" and any(f'"{key}"'.encode() in text for key in ("images", "annotations"))
