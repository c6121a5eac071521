"""How many fronts pay, and how many threads each of them has for images. Pure, but for the look at the machine."""

from __future__ import annotations

from pathlib import Path

_CORES_OF_THE_BACK = 2
_FEWEST_CORES = 4
"""With fewer, one process keeps them busy: each further one would only pass messages on."""


def suggested_count(cores: int, *, has_gpu: bool) -> int:
    """The fronts that are worth having; 0 where the models need the cores themselves.

    Part of a front's work, on pixels, runs beside Python's lock: so three fronts for four cores, which was measured
    with 16 of them and one GPU (docs/performance.md).
    """
    if not has_gpu or cores < _FEWEST_CORES:
        return 0
    return max(1, (cores - _CORES_OF_THE_BACK) * 3 // 4)


def image_threads(cores: int, count: int) -> int:
    """Threads for images in each of `count` fronts: its share of the cores.

    Two at least, so that Python's lock is used while the other one works on pixels; more than the share only pass it
    to and fro.
    """
    return max(2, cores // count)


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether a GPU of NVIDIA is at hand."""
    return (devices / "nvidiactl").exists()
