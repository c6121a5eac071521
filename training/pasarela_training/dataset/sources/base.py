"""The contract of a reader of datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pasarela_training.dataset.records import Annotation, Category, Entry, Fault, SplitName


class Source(Protocol):
    """A dataset in one layout. Opening it reads no more than is needed to list it.

    A source is sent to other processes, which call `read`: it is picklable and small; what belongs to single images
    travels in their entries.
    """

    @property
    def layout(self) -> str:
        """The layout's name, as a person would say it."""
        ...

    @property
    def image_root(self) -> Path:
        """The folder that `Annotation.file_name` is relative to."""
        ...

    @property
    def categories(self) -> tuple[Category, ...]:
        """All classes, by rising id."""
        ...

    @property
    def mended(self) -> Mapping[str, int]:
        """How often the document departed from the usual dialect, by what was mended; empty if it did not."""
        ...

    def entries(self, splits: Sequence[SplitName]) -> tuple[list[Entry], list[Fault]]:
        """Lists the images of some splits, sorted by key, and what could not even be listed.

        Raises:
            TrainingError: The dataset has no such split.
        """
        ...

    def read(self, entry: Entry) -> tuple[Annotation, list[Fault]]:
        """Reads what is known of one image. Does not open the image.

        Returns:
            The annotation with its usable items, and the faults of the others. An image of which the dataset says that
            nothing is on it has no items and no faults.

        Raises:
            BrokenAnnotation: Nothing of it can be used.
        """
        ...
