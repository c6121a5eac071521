"""One COCO document: its images with their annotations, in the usual form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from pasarela_training.dataset.records import Category, Fault, ImageKey
from pasarela_training.dataset.sources.coco_dialect import Id, mend_annotation, read_crowd, read_id
from pasarela_training.dataset.sources.files import usable_name
from pasarela_training.dataset.sources.numbers import BadValue, is_integer, shown
from pasarela_training.errors import TrainingError


@dataclass(slots=True)
class Picture:
    """An image of a document."""

    id: Id
    name: str
    source: str
    pair_id: int
    annotations: list[tuple[Id, Id, bool, dict[str, Any]]] = field(default_factory=list)
    """Id, category's id, whether it is a crowd, and what the document says."""


@dataclass(slots=True)
class Document:
    """What a document says."""

    path: Path
    split: str
    categories: dict[Id, Category]
    pictures: list[Picture]
    faults: list[Fault]
    mended: Counter[str]


def load_document(path: Path, split: str) -> Document:
    """Reads a document.

    Raises:
        TrainingError: It is no COCO document.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{path}: not readable as JSON: {error}") from error
    for name in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise TrainingError(f"{path}: expected a COCO document with lists of images, annotations and categories")
    document = Document(path, split, {}, [], [], Counter())
    document.categories = _categories(path, content["categories"], document.mended)
    pictures = _pictures(document, content["images"])
    _annotations(document, pictures, content["annotations"])
    return document


def _categories(path: Path, rows: list[Any], mended: Counter[str]) -> dict[Id, Category]:
    categories: dict[Id, Category] = {}
    for row in rows:
        name = row.get("name") if isinstance(row, dict) else None
        try:
            number = read_id(row["id"], "categories", mended) if isinstance(row, dict) and "id" in row else None
        except BadValue:
            number = None
        if not isinstance(number, int) or number < 0 or not isinstance(name, str) or not name:
            raise TrainingError(f"{path}: categories: expected a whole number `id` and a `name`, found {shown(row)}")
        if number in categories:
            raise TrainingError(f"{path}: categories: the id {number} is there twice")
        keypoints = row.get("keypoints")
        landmarks = len(keypoints) if isinstance(keypoints, list) else 0
        categories[number] = Category(number, name, landmarks, str(row.get("supercategory") or ""))
    if not categories:
        raise TrainingError(f"{path}: categories: there is none")
    return categories


def _pictures(document: Document, rows: list[Any]) -> dict[Id, Picture]:
    pictures: dict[Id, Picture] = {}
    names: set[str] = set()
    for place, row in enumerate(rows):
        key = ImageKey(document.split, f"images[{place}]")
        if not isinstance(row, dict) or "id" not in row or "file_name" not in row:
            document.faults.append(Fault(key, "image", "id or file_name is missing", "dropped", "missing key"))
            continue
        name = usable_name(row["file_name"])
        if name is None:
            reason = f"file_name is {shown(row['file_name'])}, expected a path below the folder of images"
            document.faults.append(Fault(key, "image", reason, "dropped", "bad value"))
            continue
        key = ImageKey(document.split, name)
        try:
            number = read_id(row["id"], "images", document.mended)
        except BadValue as error:
            document.faults.append(Fault(key, "image", str(error), "dropped", error.kind))
            continue
        if number in pictures or name in names:
            reason = f"the document has this {'id' if number in pictures else 'file_name'} twice"
            document.faults.append(Fault(key, "image", reason, "dropped", "duplicate"))
            continue
        for side in ("width", "height"):
            if not is_integer(row.get(side)) or row[side] <= 0:
                kind = "bad value" if side in row else "missing key"
                reason = f"{side} is {shown(row.get(side))}; the file's header tells it"
                document.faults.append(Fault(key, "image", reason, "kept", kind))
        pair: Any = row.get("pair_id")
        pair_id = pair if is_integer(pair) and abs(pair) < 2**63 else 0
        pictures[number] = Picture(number, name, str(row.get("source") or ""), pair_id)
        names.add(name)
    document.pictures = list(pictures.values())
    return pictures


def _annotations(document: Document, pictures: dict[Id, Picture], rows: list[Any]) -> None:
    known: dict[Id, tuple[Id, Any]] = {}
    mended = document.mended
    for place, row in enumerate(rows):
        where = f"annotations[{place}]"
        nowhere = ImageKey(document.split, document.path.name)
        if not isinstance(row, dict):
            document.faults.append(Fault(nowhere, where, f"expected an object, found {shown(row)}", "dropped"))
            continue
        try:
            number: Id = read_id(row["id"], "annotations", mended) if "id" in row else where
            where = f"annotation {number}"
            image = read_id(row.get("image_id"), "images in annotations", mended)
            picture = _picture(pictures, image)
            category = read_id(row.get("category_id"), "categories in annotations", mended)
        except BadValue as error:
            named = _of(pictures, row)
            key = ImageKey(document.split, named.name) if named else nowhere
            document.faults.append(Fault(key, where, str(error), "dropped", error.kind))
            continue
        if "id" not in row:
            mended["ids of annotations missing"] += 1
        if number in known:
            same = known[number] == (image, row.get("bbox"))
            reason = "the same annotation is there twice" if same else "another annotation has the same id; both count"
            key = ImageKey(document.split, picture.name)
            document.faults.append(Fault(key, where, reason, "dropped" if same else "kept", "duplicate"))
            if same:
                continue
        known[number] = (image, row.get("bbox"))
        mend_annotation(row, mended)
        picture.annotations.append((number, category, read_crowd(row, mended), row))


def _picture(pictures: dict[Id, Picture], image: Id) -> Picture:
    if image not in pictures:
        raise BadValue(f"image_id is {shown(image)}, which no image has", "missing image")
    return pictures[image]


def _of(pictures: dict[Id, Picture], row: dict[str, Any]) -> Picture | None:
    """The image of a faulty annotation, if it names one."""
    try:
        return pictures.get(read_id(row.get("image_id"), "images", Counter()))
    except BadValue:
        return None
