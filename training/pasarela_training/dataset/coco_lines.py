"""COCO documents with one entry per line: written and read with bounded memory.

The layout is plain JSON, laid out so that lines can be told apart without parsing all of it:

    {"info":{…},
    "licenses":[…],
    "categories":[…],
    "images":[
    {"id":1,…},
    …
    ],
    "annotations":[
    {"id":1,"image_id":1,…},
    …
    ]}

Annotations follow the order of the images.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

from pasarela_training.errors import TrainingError

_IMAGES = b'"images":[\n'
_ANNOTATIONS = b'"annotations":[\n'
_FIRST = b'{"info":'
_SECOND = b'"licenses":'
_LONGEST_INFO = 65_536


class DocumentWriter:
    """Writes one document. Entries go to two files beside it, which are joined when all went well."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._path = path
        self._header = header
        self._parts = [path.with_name(f".{path.name}.{name}") for name in ("images", "annotations")]
        self.images = 0
        self.annotations = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._images_file, self._annotations_file = (stack.enter_context(part.open("wb")) for part in self._parts)
            self._stack = stack.pop_all()
        return self

    def add(self, images: Iterable[bytes], annotations: Iterable[bytes]) -> None:
        """Adds entries.

        Args:
            images: A JSON object each.
            annotations: A JSON object each, without its opening brace and without `id`; they are numbered here.
        """
        for image in images:
            self._images_file.write((b",\n" if self.images else b"") + image)
            self.images += 1
        for annotation in annotations:
            comma = b",\n" if self.annotations else b""
            self.annotations += 1
            self._annotations_file.write(b'%b{"id":%d,%b' % (comma, self.annotations, annotation))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        try:
            if error is None:
                self._join()
        finally:
            for part in self._parts:
                part.unlink(missing_ok=True)

    def _join(self) -> None:
        with self._path.open("wb") as file:
            parts = (b'"%b":%b,\n' % (name.encode(), orjson.dumps(value)) for name, value in self._header.items())
            file.write(b"{" + b"".join(parts) + _IMAGES)
            _append(self._parts[0], file)
            file.write((b"\n" if self.images else b"") + b"],\n" + _ANNOTATIONS)
            _append(self._parts[1], file)
            file.write((b"\n" if self.annotations else b"") + b"]}\n")


def read_header(path: Path) -> dict[str, Any]:
    """Everything of a document but its images and annotations.

    Raises:
        TrainingError: The file cannot be read as a COCO document.
    """
    try:
        if not _is_lined(path):
            document = orjson.loads(path.read_bytes())
            return {name: value for name, value in document.items() if name not in ("images", "annotations")}
        with path.open("rb") as file:
            lines = list(_lines_before(file, _IMAGES))
            header: dict[str, Any] = orjson.loads(b"".join(lines).rstrip(b",\n") + b"}")
            return header
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(path, error) from error


def read_images(path: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each image of a document with its annotations, in the document's order.

    Documents of other writers, which are not laid out in lines, are read whole.

    Raises:
        TrainingError: The file cannot be read as a COCO document, or an annotation belongs to no image.
    """
    try:
        yield from _read_lined(path) if _is_lined(path) else _read_whole(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error


def _read_lined(path: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    with path.open("rb") as first, path.open("rb") as second:
        _skip_to(first, _IMAGES)
        _skip_to(second, _ANNOTATIONS)
        annotations = _elements(second)
        following = next(annotations, None)
        for image in _elements(first):
            own = []
            while following is not None and following["image_id"] == image["id"]:
                own.append(following)
                following = next(annotations, None)
            yield image, own
        if following is not None:
            raise ValueError(
                f"annotation {following['id']} belongs to image {following['image_id']!r}, "
                f"which is missing or out of order"
            )


def _read_whole(path: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    document = orjson.loads(path.read_bytes())
    own = defaultdict(list)
    for annotation in document["annotations"]:
        own[annotation["image_id"]].append(annotation)
    for image in document["images"]:
        yield image, own.pop(image["id"], [])
    for image_id, orphans in own.items():
        raise ValueError(f"annotation {orphans[0]['id']} belongs to image {image_id!r}, which is missing")


def _is_lined(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(_LONGEST_INFO)
        return first.startswith(_FIRST) and first.endswith(b",\n") and file.read(len(_SECOND)) == _SECOND


def _lines_before(file: IO[bytes], mark: bytes) -> Iterator[bytes]:
    for line in file:
        if line == mark:
            return
        yield line
    raise ValueError(f"it ends before {mark.decode().strip()}")


def _skip_to(file: IO[bytes], mark: bytes) -> None:
    for _ in _lines_before(file, mark):
        pass


def _elements(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    for line in file:
        if line.startswith(b"]"):
            return
        yield orjson.loads(line.rstrip(b",\n"))
    raise ValueError("it ends in the middle")


def _append(part: Path, file: IO[bytes]) -> None:
    with part.open("rb") as entries:
        shutil.copyfileobj(entries, file, 1 << 20)


def _unreadable(path: Path, error: Exception) -> TrainingError:
    reason = f"{error} is missing" if isinstance(error, KeyError) else error
    return TrainingError(f"{path} cannot be read as a COCO document: {reason}; delete it and convert again")
