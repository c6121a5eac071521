"""Runs one of the conversions, or a mere reading, in a process of its own, and prints how long it took.

Two numbers: seconds by the clock, and seconds of the processor in all processes together.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

_HEADER_BYTES = 8_192
"""Of an image, read where only reading is measured."""


def main(kind: str, folder: Path, output: Path, processes: int) -> None:
    """Does what `kind` names: `plain`, `ours` or `read`.

    The start of Python and of this project is not timed, that of further processes is.
    """
    # not at the top: processes that the conversion starts read this module again
    from pasarela_training.dataset.benchmark.plain import convert_plainly
    from pasarela_training.dataset.coco import make_coco
    from pasarela_training.dataset.sources.deepfashion2 import DeepFashion2Source

    start = time.perf_counter()
    if kind == "plain":
        convert_plainly(folder / "data" / "train", output / "train.json")
    elif kind == "ours":
        source = DeepFashion2Source(folder / "data")
        make_coco(source, folder / "sample", processes=processes, max_broken=0, output=output)
    else:
        for path in sorted((folder / "data" / "train" / "annos").iterdir()):
            path.read_bytes()
            with (folder / "data" / "train" / "image" / f"{path.stem}.jpg").open("rb") as image:
                image.read(_HEADER_BYTES)
    usage = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # the answer to the process that started this one
    print(time.perf_counter() - start, sum(one.ru_utime + one.ru_stime for one in usage))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
