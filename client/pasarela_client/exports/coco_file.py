"""COCO's JSON in its two forms.

A *dataset*, which `pycocotools.coco.COCO` opens, has images, categories and annotations (with a score, too). A list of
*results*, which `COCO.loadRes` reads, has the detections alone; image and category ids are those of the annotations
that it is compared with. An image that failed is in neither.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any

from pasarela_client.boxes import shortest_floats
from pasarela_client.conversions import to_coco
from pasarela_client.detections import Detections, FrameError
from pasarela_client.exports.annotations import Annotations
from pasarela_client.exports.classes import ClassNames
from pasarela_client.exports.export import Export
from pasarela_client.exports.text import encode_text
from pasarela_client.places import name_file
from pasarela_client.unfinished import UnfinishedFile


class CocoExport(Export):
    """What both forms have in common."""

    def __init__(self, target: UnfinishedFile, *, annotations: Annotations | None = None) -> None:
        """Begins.

        Args:
            target: Where to write.
            annotations: Where the ids of images and categories are from; None counts images from 1, in the order in
                which they come, and takes the model's class ids.
        """
        super().__init__(target)
        self._stream = target.stream
        self._annotations = annotations
        self._category_ids = annotations.category_ids if annotations else None
        self._images = 0

    def _add_error(self, error: FrameError) -> None:
        """An image that failed is left out."""

    def _image_id(self, found: Detections) -> int:
        if self._annotations:
            return self._annotations.image_id(name_file(found, self.frames))
        return self._images + 1


class CocoResultsExport(CocoExport):
    """Writes the list of results."""

    def __init__(self, target: UnfinishedFile, *, annotations: Annotations | None = None) -> None:
        super().__init__(target, annotations=annotations)
        self._list = _ListWriter(self._stream)

    def _add_found(self, found: Detections) -> None:
        self._list.add(to_coco(found, self._image_id(found), self._category_ids))
        self._images += 1

    def _finish(self) -> None:
        self._list.end()
        self._stream.write(b"\n")


class CocoDatasetExport(CocoExport):
    """Writes the dataset. Images are kept in a second file, without a name, until the annotations are complete."""

    def __init__(
        self,
        target: UnfinishedFile,
        *,
        annotations: Annotations | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        """Begins.

        Args:
            target: Where to write.
            annotations: As for `CocoExport`.
            names: All classes of the model, which become the categories; those that are found are added.
        """
        super().__init__(target, annotations=annotations)
        self._names = ClassNames(names)
        self._models: dict[str, None] = {}
        self._kept = tempfile.TemporaryFile(dir=target.scratch_folder)  # noqa: SIM115 - lives as long as the export
        self._image_list = _ListWriter(self._kept)
        self._annotation_list = _ListWriter(self._stream, b'{"annotations": ')

    def _add_found(self, found: Detections) -> None:
        image_id = self._image_id(found)
        annotations = list(self._annotations_of(found, image_id))
        self._names.note(found)
        if found.model:
            self._models[f"{found.model}/{found.version}"] = None
        width, height = found.image_size
        moving = {"frame_index": found.frame_index, "timestamp_s": found.timestamp_s}
        image = {
            "id": image_id,
            "file_name": name_file(found, self.frames),
            "width": width,
            "height": height,
            **{key: value for key, value in moving.items() if value is not None},
        }
        self._annotation_list.add(annotations)
        self._image_list.add([image])
        self._images += 1

    def _finish(self) -> None:
        self._annotation_list.end()
        self._image_list.end()
        self._stream.write(b',\n"images": ')
        self._kept.seek(0)
        shutil.copyfileobj(self._kept, self._stream)
        self._kept.close()
        categories: Iterable[Mapping[str, Any]] = (
            self._annotations.categories
            if self._annotations
            else [{"id": key, "name": name, "supercategory": ""} for key, name in sorted(self._names.by_id.items())]
        )
        closing = {"categories": list(categories), "info": {"description": _describe(self._models)}, "licenses": []}
        self._stream.write(b",\n" + encode_text(json.dumps(closing, ensure_ascii=False)[1:]) + b"\n")

    def _release(self) -> None:
        with suppress(OSError):
            self._kept.close()

    def _annotations_of(self, found: Detections, image_id: int) -> Iterator[dict[str, Any]]:
        areas = shortest_floats(found.areas)
        first = self._annotation_list.count + 1
        for index, (result, area) in enumerate(zip(to_coco(found, image_id, self._category_ids), areas, strict=True)):
            yield {"id": first + index, **result, "area": area, "iscrowd": 0}


class _ListWriter:
    """A JSON list, an entry a line, written as its entries come."""

    def __init__(self, stream: IO[bytes], before: bytes = b"") -> None:
        self._stream = stream
        self._before = before + b"[\n"
        self.count = 0
        """Entries so far."""

    def add(self, entries: Iterable[Mapping[str, Any]]) -> None:
        for entry in entries:
            line = encode_text(json.dumps(entry, ensure_ascii=False))
            self._stream.write((b",\n" if self.count else self._before) + line)
            self.count += 1

    def end(self) -> None:
        self._stream.write(b"\n]" if self.count else self._before + b"]")


def _describe(models: Iterable[str]) -> str:
    named = ", ".join(models)
    return f"Detections by {named}" if named else "Detections"
