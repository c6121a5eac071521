"""A first look at every annotation, on all cores: what is needed to choose images, and no more."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pasarela_training.dataset.groups import Kinship
from pasarela_training.dataset.records import Annotation, BrokenAnnotation, Entry, Fault
from pasarela_training.dataset.sources.base import Source
from pasarela_training.parallel import map_chunks
from pasarela_training.progress import progress


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a usable image."""

    file_name: str
    kinship: Kinship
    classes: tuple[tuple[int, int], ...]
    """Category id and number of items, by category id."""
    digest: str
    """SHA-256 of the annotation as it was understood."""


def survey(
    source: Source, entries: Sequence[Entry], processes: int
) -> Iterator[tuple[Entry, Seen | None, list[Fault]]]:
    """Reads all annotations.

    Yields:
        For each entry, in order: what was seen, or None if it cannot be used; and its faults.
    """
    chunks = map_chunks(_look, source, entries, processes=processes)
    looks = (look for chunk in chunks for look in chunk)
    for entry, (seen, faults) in zip(entries, progress(looks, "sample", len(entries)), strict=True):
        yield entry, seen, faults


def _look(source: Source, entries: Sequence[Entry]) -> list[tuple[Seen | None, list[Fault]]]:
    return [_look_at(source, entry) for entry in entries]


def _look_at(source: Source, entry: Entry) -> tuple[Seen | None, list[Fault]]:
    try:
        annotation, faults = source.read(entry)
    except BrokenAnnotation as error:
        return None, [Fault(entry.key, "annotation", str(error), "dropped", error.kind)]
    try:
        size = os.stat(entry.image).st_size  # noqa: PTH116 - hundreds of thousands of files
    except OSError as error:
        reason = f"there is no file {annotation.file_name} ({error.strerror})"
        return None, [*faults, Fault(entry.key, "image", reason, "dropped", "missing image")]
    if size == 0:
        return None, [*faults, Fault(entry.key, "image", "the file is empty", "dropped", "missing image")]
    classes = Counter(item.category_id for item in annotation.items)
    styles = sorted({item.style for item in annotation.items if item.style > 0})
    kinship = Kinship(str(entry.key), annotation.pair_id, tuple(styles), annotation.group)
    return Seen(annotation.file_name, kinship, tuple(sorted(classes.items())), annotation_digest(annotation)), faults


def annotation_digest(annotation: Annotation) -> str:
    """SHA-256 of an annotation in canonical JSON, in hexadecimal; the same on every machine."""
    text = orjson.dumps(annotation, default=_plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def _plain(value: Any) -> Any:
    return dict(value)
