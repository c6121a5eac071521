"""Images with known boxes, drawn by the project itself: it ships none, and needs none to be downloaded."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from pasarela_training.config.dataset import SampleSection
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.sample import make_sample
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.synthesize import SynthesizeSettings, synthesize

SEED: Final = 20_260
"""Not that of the images which the shipped model learned from, so that it has seen none of these."""
_RATIOS: Final = (1, 1, 8)
"""Training, validation, test: only the last is judged on."""


@dataclass(frozen=True, slots=True)
class TestSet:
    """Images, and what is on them."""

    __test__ = False  # pytest takes every class of this name for one of its own

    images: Path
    """The folder that file names are relative to."""
    document: Path
    """COCO JSON."""
    count: int
    objects: int

    @property
    def description(self) -> str:
        """One sentence for pages."""
        return (
            f"{self.count} images with {self.objects} objects, drawn by the project with a seed that its model was not "
            f"trained on (seed {SEED}, easy scenes); they say nothing of photographs"
        )


def drawn_test_set(count: int, folder: Path) -> TestSet:
    """Draws about so many images, unless they are there already.

    Args:
        count: Images to judge on.
        folder: Where test sets are kept.
    """
    place = folder / f"drawn-{count}-seed-{SEED}"
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder, prefix=".drawing-"))
        try:
            _draw(count, beside)
            beside.replace(place)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    document = place / "coco" / "test.json"
    content = orjson.loads(document.read_bytes())
    return TestSet(place / "drawn", document, len(content["images"]), len(content["annotations"]))


def _draw(count: int, folder: Path) -> None:
    total = max(10, -(-count * sum(_RATIOS) // _RATIOS[-1]))
    (folder / "sample").mkdir()
    (folder / "coco").mkdir()
    synthesize(folder / "drawn", SynthesizeSettings(images=total, seed=SEED), processes=2)
    source = open_source(folder / "drawn")
    make_sample(source, SampleSection(ratios=_RATIOS), processes=1, max_broken=0, output=folder / "sample")
    make_coco(source, folder / "sample", processes=1, max_broken=0, output=folder / "coco")
