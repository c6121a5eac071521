"""DeepFashion2 as it is handed out: one JSON beside each image.

The format is described at https://github.com/switchablenorms/DeepFashion2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

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
from pasarela_training.dataset.sources.files import names_in, printable, read_bytes
from pasarela_training.dataset.sources.numbers import (
    BadValue,
    four_numbers,
    is_integer,
    read_attributes,
    read_landmarks,
    read_polygons,
    shown,
)
from pasarela_training.errors import TrainingError
from pasarela_training.synthesize.categories import CATEGORIES as GARMENTS

CATEGORIES = tuple(Category(garment.id, garment.name, garment.landmarks, "clothes") for garment in GARMENTS)
SPLIT_OFFSETS: Mapping[str, int] = {"train": 0, "validation": 1_000_000, "test": 2_000_000}
"""An image's id is the number in its name plus this, since names repeat between splits."""
_MOST_NUMBER = 999_999
_CATEGORY_BY_ID = {category.id: category for category in CATEGORIES}


@dataclass(frozen=True, slots=True)
class DeepFashion2Source:
    """A folder with `<split>/image/000001.jpg` and `<split>/annos/000001.json`."""

    root: Path
    layout: str = "DeepFashion2"

    @staticmethod
    def fits(root: Path) -> bool:
        """True if a folder has this layout."""
        return any((root / split / "image").is_dir() for split in SPLIT_OFFSETS)

    @property
    def image_root(self) -> Path:
        """The folder itself."""
        return self.root

    @property
    def categories(self) -> tuple[Category, ...]:
        """DeepFashion2's thirteen."""
        return CATEGORIES

    @property
    def mended(self) -> Mapping[str, int]:
        """Nothing: this is the usual dialect."""
        return {}

    def entries(self, splits: Sequence[SplitName]) -> tuple[list[Entry], list[Fault]]:
        """See `Source.entries`."""
        entries: list[Entry] = []
        faults: list[Fault] = []
        for split in sorted(set(splits)):
            images, annotations = self.root / split / "image", self.root / split / "annos"
            for folder in (images, annotations):
                if not folder.is_dir():
                    raise TrainingError(
                        f"{folder} is missing: the '{split}' split of a folder in DeepFashion2's layout needs "
                        f"{split}/image and {split}/annos; choose other splits in sample.splits"
                    )
            stems = [name[:-4] for name in names_in(images, ".jpg")]
            unread = {name[:-5] for name in names_in(annotations, ".json")}
            taken: set[int] = set()
            for stem in sorted(stems):
                key = ImageKey(split, printable(stem))
                annotated = stem in unread
                unread.discard(stem)
                fault = _listing_fault(key, annotated, taken)
                if fault is not None:
                    faults.append(fault)
                    continue
                number = int(stem)
                taken.add(number)
                raw = f"{annotations}/{stem}.json"
                entries.append(Entry(key, number + SPLIT_OFFSETS[split], images / f"{stem}.jpg", raw))
            reason = "the annotation has no image"
            faults += [
                Fault(ImageKey(split, printable(stem)), "image", reason, "dropped", "missing image")
                for stem in sorted(unread)
            ]
        return entries, faults

    def read(self, entry: Entry) -> tuple[Annotation, list[Fault]]:
        """See `Source.read`."""
        key = entry.key
        content = read_json(entry.raw)
        return parse_annotation(key, content, entry.image_id, f"{key.split}/image/{key.name}.jpg")


def _listing_fault(key: ImageKey, annotated: bool, taken: set[int]) -> Fault | None:
    stem = key.name
    if not (stem.isascii() and stem.isdecimal()):
        return Fault(key, "image", "the file's name is not a number", "dropped", "bad value")
    if len(stem) > 18 or int(stem) > _MOST_NUMBER:
        return Fault(key, "image", f"the number in the file's name is above {_MOST_NUMBER}", "dropped", "bad value")
    if int(stem) in taken:
        return Fault(key, "image", "another image of the split has the same number", "dropped", "duplicate")
    if not annotated:
        return Fault(key, "annotation", "there is no annotation for this image", "dropped", "missing annotation")
    return None


def read_json(path: str) -> dict[str, Any]:
    """Reads an annotation file.

    Raises:
        BrokenAnnotation: It is missing, or holds no JSON object.
    """
    try:
        data = read_bytes(path)
    except FileNotFoundError as error:
        raise BrokenAnnotation("there is no annotation for this image", "missing annotation") from error
    except OSError as error:
        raise BrokenAnnotation(f"not readable: {error.strerror}") from error
    try:
        content = orjson.loads(data)
    except ValueError:
        content = _read_leniently(data)
    if not isinstance(content, dict):
        raise BrokenAnnotation(f"expected a JSON object, found {type(content).__name__}")
    return content


def _read_leniently(data: bytes) -> Any:
    """Python's own reader takes NaN and Infinity, so that only the items that have them are lost."""
    try:
        content = json.loads(data)
        json.dumps(content, ensure_ascii=False).encode()  # refuses halves of surrogate pairs, which cannot be written
    except (ValueError, RecursionError) as error:
        raise BrokenAnnotation(f"not readable as JSON: {error}") from error
    return content


def parse_annotation(
    key: ImageKey, content: dict[str, Any], image_id: int = 0, file_name: str = ""
) -> tuple[Annotation, list[Fault]]:
    """Reads the content of an annotation file. See `Source.read`."""
    names = sorted((name for name in content if name.startswith("item")), key=lambda name: (len(name), name))
    if not names:
        raise BrokenAnnotation("has no item", "missing key")
    items: list[Item] = []
    faults: list[Fault] = []
    for name in names:
        try:
            item, reasons = _parse_item(name, content[name])
        except BadValue as error:
            faults.append(Fault(key, name, str(error), "dropped", error.kind))
            continue
        items.append(item)
        faults.extend(Fault(key, name, reason, "kept", "bad value") for reason in reasons)
    pair_id: Any = content.get("pair_id")
    if not is_integer(pair_id) or abs(pair_id) >= 2**63:
        kind = "bad value" if "pair_id" in content else "missing key"
        reason = f"expected an integer, found {shown(pair_id)}; taken as 0"
        faults.append(Fault(key, "pair_id", reason, "kept", kind))
        pair_id = 0
    return Annotation(key, image_id, file_name, str(content.get("source", "")), pair_id, tuple(items)), faults


def _parse_item(name: str, content: Any) -> tuple[Item, list[str]]:
    """One item, and what is odd about it without making its box useless."""
    number = name.removeprefix("item")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise BadValue("expected a name such as item1")
    if not isinstance(content, dict):
        raise BadValue(f"expected an object, found {type(content).__name__}")
    for required in ("category_id", "bounding_box"):
        if required not in content:
            raise BadValue(f"{required} is missing", "missing key")
    category_id = content["category_id"]
    category = _CATEGORY_BY_ID.get(category_id) if is_integer(category_id) else None
    if category is None:
        raise BadValue(f"category_id is {shown(category_id)}, expected 1 to {len(CATEGORIES)}", "unknown category")
    box = four_numbers("bounding_box", content["bounding_box"], "[left, top, right, bottom]")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise BadValue(f"bounding_box {content['bounding_box']} has no area", "no area")
    reasons: list[str] = []
    if content.get("category_name") != category.name:
        reasons.append(
            f"category_name {shown(content.get('category_name'))} does not fit category_id {category.id} "
            f"({category.name}); the id was taken"
        )
    landmarks, about_landmarks = read_landmarks(content.get("landmarks"), category.landmarks)
    polygons, about_polygons = read_polygons(content.get("segmentation"))
    attributes, about_attributes = read_attributes(content)
    style: Any = content.get("style", 0)
    if not is_integer(style) or not 0 <= style < 2**63:
        reasons.append(f"style is {shown(style)}, expected an integer from 0; taken as 0")
        style = 0
    item = Item(int(number), category.id, box, polygons, landmarks, style, attributes)
    return item, reasons + about_landmarks + about_polygons + about_attributes
