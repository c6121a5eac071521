"""The `yolo` stage: labels and links to the images, as Ultralytics reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pasarela_training.config import ConvertSection
from pasarela_training.dataset.coco_lines import read_header, read_images
from pasarela_training.dataset.content import content_digest, write_contents
from pasarela_training.dataset.polygons import as_polygon, box_polygon, join_polygons
from pasarela_training.dataset.split import SPLITS
from pasarela_training.dataset.yolo_labels import label_line, polygon_line
from pasarela_training.dataset.yolo_names import FileNames
from pasarela_training.errors import TrainingError
from pasarela_training.fingerprint import file_sha256
from pasarela_training.parallel import map_chunks
from pasarela_training.progress import progress

SEGMENT = "segment"
"""Folder of the polygon labels, within the stage's output."""
DATA = "data.yaml"
_FEWEST_NUMBERS = 6
"""Of a polygon: three points."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One image to link and label."""

    file_name: str
    name: str
    sha256: str | None
    size: tuple[int, int]
    objects: list[tuple[int, Sequence[float], list[list[float]]]]
    """Class, box as left, top, width, height, and polygons."""


@dataclass(frozen=True, slots=True)
class _Place:
    image_root: Path
    output: Path
    split: str
    segmentation: bool


def make_yolo(
    image_root: Path, coco: Path, sums: Mapping[str, str], section: ConvertSection, *, processes: int, output: Path
) -> str:
    """Writes `labels/<split>/*.txt`, `images/<split>/*` (links), `data.yaml` and the digests of the splits.

    With `section.segmentation`, `segment/` holds the same with outlines instead of boxes. Crowds are left out: a label
    file has no words for them.

    Args:
        image_root: The folder that the file names in the COCO documents are relative to.
        coco: Output of the `coco` stage.
        sums: SHA-256 of the images by file name, as far as they are known; the others are read.
        section: What to write.
        processes: How many to use at the most.
        output: Folder to write into; it may be renamed afterwards, since nothing in it names it.

    Returns:
        One line that says what was written.

    Raises:
        TrainingError: A document cannot be read, or an image is gone.
    """
    classes = _classes(coco)
    folders = [output, output / SEGMENT] if section.segmentation else [output]
    images = objects = crowds = 0
    digests: dict[str, str] = {}
    for split in SPLITS:
        for folder in folders:
            for kind in ("images", "labels"):
                (folder / kind / split).mkdir(parents=True)
        place = _Place(image_root, output, split, section.segmentation)
        jobs = _Jobs(coco / f"{split}.json", classes, sums, section.segmentation)
        entries: list[tuple[str, str, str]] = []
        for chunk in map_chunks(_write_chunk, place, progress(jobs, f"yolo {split}"), processes=processes):
            entries += chunk
        digests[split] = content_digest(entries)
        images, objects, crowds = images + len(entries), objects + jobs.objects, crowds + jobs.crowds
    write_contents(output, digests)
    names = {number: category["name"] for number, category in enumerate(_categories(coco))}
    settings = {split: f"images/{split}" for split in SPLITS} | {"names": names}
    for folder in folders:
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        (folder / DATA).write_text(text, encoding="utf-8")
    left_out = f"; {crowds} crowds left out" if crowds else ""
    outlines = ", with outlines" if section.segmentation else ""
    return f"{images} images linked and labelled with {objects} items{outlines}{left_out}"


def link(original: Path, place: Path) -> None:
    """Makes a file appear at another place without copying it: a hard link, or a symbolic one between file systems."""
    try:
        os.link(original, place)
    except OSError:
        place.symlink_to(original)


def _categories(coco: Path) -> list[dict[str, Any]]:
    """By rising id."""
    return sorted(read_header(coco / f"{SPLITS[0]}.json")["categories"], key=lambda category: category["id"])


def _classes(coco: Path) -> dict[int, int]:
    """YOLO's class for each category: its position among all, by id."""
    return {category["id"]: number for number, category in enumerate(_categories(coco))}


class _Jobs:
    """What to do for each image of a document; counts while it is gone through."""

    def __init__(self, document: Path, classes: dict[int, int], sums: Mapping[str, str], polygons: bool) -> None:
        self._document = document
        self._classes = classes
        self._sums = sums
        self._polygons = polygons
        self.objects = 0
        self.crowds = 0

    def __iter__(self) -> Iterator[_Job]:
        names = FileNames()
        for image, found in read_images(self._document):
            usable = [annotation for annotation in found if not annotation.get("iscrowd")]
            self.objects += len(usable)
            self.crowds += len(found) - len(usable)
            file_name = image["file_name"]
            yield _Job(
                file_name,
                names.name(file_name),
                self._sums.get(file_name),
                (image["width"], image["height"]),
                [
                    (self._classes[one["category_id"]], one["bbox"], self._polygons_of(one) if self._polygons else [])
                    for one in usable
                ],
            )

    @staticmethod
    def _polygons_of(annotation: dict[str, Any]) -> list[list[float]]:
        segmentation = annotation.get("segmentation")
        if not isinstance(segmentation, list):
            return []
        return [polygon for polygon in segmentation if len(polygon) >= _FEWEST_NUMBERS and len(polygon) % 2 == 0]


def _write_chunk(place: _Place, jobs: Sequence[_Job]) -> list[tuple[str, str, str]]:
    """Links and labels images. Returns name, SHA-256 and labels of each, for the digest."""
    entries = []
    for job in jobs:
        original = (place.image_root / job.file_name).resolve()
        name = f"{job.name}{original.suffix}"
        text = _lines(label_line(number, box, *job.size) for number, box, _ in job.objects)
        try:
            sha256 = job.sha256 or file_sha256(original)
            _write(place.output, place.split, original, name, job.name, text)
            if place.segmentation:
                outlines = _lines(_outline(*one, job.size) for one in job.objects)
                _write(place.output / SEGMENT, place.split, original, name, job.name, outlines)
        except FileNotFoundError as error:
            raise TrainingError(
                f"yolo: {original} is gone since the conversion to COCO; put it back, or sample again"
            ) from error
        entries.append((name, sha256, text))
    return entries


def _write(folder: Path, split: str, original: Path, image: str, stem: str, text: str) -> None:
    if not original.is_file():
        raise FileNotFoundError(original)
    link(original, folder / "images" / split / image)
    (folder / "labels" / split / f"{stem}.txt").write_text(text, encoding="ascii")


def _outline(number: int, box: Sequence[float], polygons: list[list[float]], size: tuple[int, int]) -> str:
    outline = join_polygons([as_polygon(polygon) for polygon in polygons]) if polygons else box_polygon(*box)
    return polygon_line(number, outline, *size)


def _lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
