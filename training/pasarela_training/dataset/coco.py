"""The `coco` stage: one COCO JSON per split, with DeepFashion2's attributes kept as extra keys.

Processes read annotations and headers of images and return finished lines; this one numbers and writes them, so memory
does not grow with the documents. See `coco_lines` for the layout of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import cast

from pasarela_training.dataset.coco_entries import header
from pasarela_training.dataset.coco_lines import DocumentWriter
from pasarela_training.dataset.coco_work import Converted, Job, convert_chunk, job
from pasarela_training.dataset.records import Fault, ImageKey, SplitName
from pasarela_training.dataset.report import FaultReport
from pasarela_training.dataset.sample import read_sample
from pasarela_training.dataset.sources.base import Source
from pasarela_training.errors import TrainingError
from pasarela_training.parallel import map_chunks
from pasarela_training.progress import counting_bar


def make_coco(source: Source, sample: Path, *, processes: int, max_broken: float, output: Path) -> str:
    """Converts every split of a sample to COCO JSON, and writes a report of all faults.

    Args:
        source: The dataset.
        sample: Output of the `sample` stage.
        processes: How many to use at the most.
        max_broken: The share of images that may lose something to a fault.
        output: Folder to write `train.json`, `val.json`, `test.json` and `report.json` into.

    Returns:
        One line that says what was written.

    Raises:
        TrainingError: Too many images lost something, or a split has no usable item left.
    """
    splits = read_sample(sample)
    entries = _Entries(source, {key for keys in splits.values() for key in keys})
    report = FaultReport("coco")
    report.add(entries.faults)
    total = sum(len(keys) for keys in splits.values())
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(DocumentWriter(output / f"{split}.json", header(split, source.categories)))
            for split in splits
        }
        chunks = map_chunks(convert_chunk, source, entries.take(splits, report), processes=processes)
        for chunk in _shown(chain.from_iterable(chunks), total):
            report.add(chunk.faults)
            report.read(chunk.read)
            writers[chunk.split].add(chunk.images, chunk.annotations)
    report.check(max_broken, keep_in=output.parent)
    for split, writer in writers.items():
        if not writer.annotations:
            raise TrainingError(
                f"coco: no image of the {split} split has a usable item{_first(report)}; "
                f"mend the annotations, or use more images"
            )
    report.write(output)
    images = sum(writer.images for writer in writers.values())
    items = sum(writer.annotations for writer in writers.values())
    return f"{images} images with {items} items; faults: {report.summary}"


class _Entries:
    """The dataset's entries for the images of a sample."""

    def __init__(self, source: Source, wanted: set[ImageKey]) -> None:
        names = cast("list[SplitName]", sorted({key.split for key in wanted}))
        listed, faults = source.entries(names)
        self._by_key = {entry.key: entry for entry in listed if entry.key in wanted}
        self.faults = [fault for fault in faults if fault.key in self._by_key]

    def take(self, splits: Mapping[str, Iterable[ImageKey]], report: FaultReport) -> Iterator[Job]:
        """A job for each image; an image that is no longer there becomes a fault."""
        for split, key in ((split, key) for split, keys in splits.items() for key in keys):
            entry = self._by_key.pop(key, None)
            if entry is not None:
                yield job(split, entry)
                continue
            reason = "the sample names it, the dataset does not have it any more"
            report.add([Fault(key, "image", reason, "dropped", "missing image")])
            report.read(1)


def _shown(chunks: Iterable[Converted], total: int) -> Iterator[Converted]:
    done = 0
    with counting_bar("coco") as show:
        show(0, total)
        for chunk in chunks:
            yield chunk
            done += chunk.read
            show(done, total)


def _first(report: FaultReport) -> str:
    first = next(iter(report.faults), None)
    return f" (the first fault is {first.key} {first.where}: {first.reason})" if first else ""
