"""What was wrong with a dataset: counted, listed, and too much of it stops the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from pasarela_training.dataset.records import Fault, ImageKey
from pasarela_training.errors import TrainingError

REPORT = "report.json"
_LOST = frozenset({"dropped"})


class FaultReport:
    """Collects faults in the order in which they are found. Owned by the process that writes the stage's output."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._faults: list[Fault] = []
        self._losing: set[ImageKey] = set()
        self._images = 0

    def add(self, faults: Iterable[Fault]) -> None:
        """Notes faults."""
        for fault in faults:
            self._faults.append(fault)
            if fault.action in _LOST:
                self._losing.add(fault.key)

    def read(self, images: int) -> None:
        """Notes that so many more images were looked at, whether they had faults or not."""
        self._images += images

    @property
    def faults(self) -> list[Fault]:
        """All faults so far."""
        return list(self._faults)

    @property
    def summary(self) -> str:
        """The counts by action in a few words."""
        counts = Counter(fault.action for fault in self._faults)
        return ", ".join(f"{count} {action}" for action, count in sorted(counts.items())) or "none"

    def as_json(self) -> dict[str, Any]:
        """Counts first, for people; then every fault."""
        return {
            "images": self._images,
            "images_that_lost_something": len(self._losing),
            "counts": dict(sorted(Counter(fault.action for fault in self._faults).items())),
            "kinds": dict(sorted(Counter(fault.kind for fault in self._faults).items())),
            "faults": [
                {
                    "image": str(fault.key),
                    "where": fault.where,
                    "kind": fault.kind,
                    "reason": fault.reason,
                    "action": fault.action,
                }
                for fault in self._faults
            ],
        }

    def write(self, folder: Path) -> None:
        """Writes `report.json`."""
        (folder / REPORT).write_bytes(orjson.dumps(self.as_json(), option=orjson.OPT_INDENT_2) + b"\n")

    def check(self, max_broken: float, keep_in: Path) -> None:
        """Stops the run when too many images lost something.

        Args:
            max_broken: The share of images that may.
            keep_in: Folder to leave the report in if it does: the stage's own output will not come to be.

        Raises:
            TrainingError: With the counts, the first fault, and where all of them are listed.
        """
        share = len(self._losing) / max(self._images, 1)
        if share <= max_broken:
            return
        keep_in.mkdir(parents=True, exist_ok=True)
        place = keep_in / f"{self._stage}-{REPORT}"
        place.write_bytes(orjson.dumps(self.as_json(), option=orjson.OPT_INDENT_2) + b"\n")
        first = next(fault for fault in self._faults if fault.action in _LOST)
        raise TrainingError(
            f"{self._stage}: {len(self._losing)} of {self._images} images ({share:.1%}) lost something to faults in "
            f"their annotations, more than dataset.max_broken allows ({max_broken:.1%}). The first: {first.key} "
            f"{first.where}: {first.reason}. All are listed in {place}; mend them, or raise dataset.max_broken"
        )
