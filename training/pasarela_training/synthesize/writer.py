"""Pictures to files: all or nothing, on all cores."""

import json
import multiprocessing
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pasarela_training.parallel import ignore_interrupts, interrupts_held

from .scene import picture
from .settings import SynthesizeSettings

_CHUNK = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SynthesizeReport:
    """What was made.

    Attributes:
        output: The dataset's folder.
        images: Number of images.
        items: Number of garments by `category_id`, every category present.
        seconds: Wall time.
    """

    output: Path
    images: int
    items: dict[int, int]
    seconds: float


def _write(folder: Path, settings: SynthesizeSettings, indexes: Sequence[int]) -> Counter[int]:
    """Write some pictures and count their garments by category."""
    counts: Counter[int] = Counter()
    for index in indexes:
        made = picture(settings, index)
        low, high = settings.jpeg_quality
        quality = int(np.random.default_rng([settings.seed, 4, index]).integers(low, high, endpoint=True))
        encoded, jpeg = cv2.imencode(".jpg", made.image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not encoded:
            raise RuntimeError(f"OpenCV could not encode image {index} as JPEG")
        (folder / "image" / f"{index:06d}.jpg").write_bytes(jpeg.tobytes())
        (folder / "annos" / f"{index:06d}.json").write_text(json.dumps(made.annotation), encoding="utf-8")
        counts.update(entry["category_id"] for key, entry in made.annotation.items() if key.startswith("item"))
    return counts


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and a core to each worker."""
    ignore_interrupts()
    cv2.setNumThreads(1)


@contextmanager
def _single_threaded() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _write_all(folder: Path, settings: SynthesizeSettings, processes: int, progress: Progress | None) -> Counter[int]:
    counts: Counter[int] = Counter()
    chunks = [range(i, min(i + _CHUNK, settings.images + 1)) for i in range(1, settings.images + 1, _CHUNK)]
    done = 0

    def advance(made: int) -> None:
        nonlocal done
        done += made
        if progress is not None:
            progress(done, settings.images)

    if processes == 1 or len(chunks) == 1:
        with _single_threaded():
            for chunk in chunks:
                counts += _write(folder, settings, chunk)
                advance(len(chunk))
        return counts
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(chunks)), context, initializer=_start_worker)
    try:
        with interrupts_held():
            futures = {pool.submit(_write, folder, settings, chunk): len(chunk) for chunk in chunks}
        for future in as_completed(futures):
            counts += future.result()
            advance(futures[future])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return counts


def synthesize(
    output: Path,
    settings: SynthesizeSettings,
    *,
    processes: int | None = None,
    progress: Progress | None = None,
) -> SynthesizeReport:
    """Write a synthetic dataset in DeepFashion2's layout.

    The pictures are written to a folder beside `output`, which takes its name at the very end: an
    interrupted run leaves no `output`. A garment's group of pictures may be cut short by the last index.

    Workers are spawned: a script that calls this needs the usual `if __name__ == "__main__"` guard.

    Args:
        output: Folder to make; it may exist if it is empty.
        settings: The recipe.
        processes: Worker processes; all cores by default. The files do not depend on it.
        progress: Called in this process with (images done, images in all).

    Returns:
        What was made.

    Raises:
        FileExistsError: `output` is a file, or a folder with something in it.
        ValueError: `processes` is below 1.
    """
    started = time.perf_counter()
    if processes is not None and processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    output = Path(output).absolute()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"{output} exists and is not an empty folder; choose another output")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        train = partial / "train"
        (train / "image").mkdir(parents=True)
        (train / "annos").mkdir()
        counts = _write_all(train, settings, processes or os.cpu_count() or 1, progress)
        if output.exists():
            output.rmdir()
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    items = {category: counts[category] for category in range(1, 14)}
    return SynthesizeReport(output, settings.images, items, time.perf_counter() - started)
