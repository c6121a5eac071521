"""Checksums of the sampled images, and copies or links of them where wanted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pasarela_training.errors import TrainingError
from pasarela_training.fingerprint import file_sha256
from pasarela_training.parallel import map_chunks
from pasarela_training.progress import progress

Store = Literal["list", "link", "copy"]
SUMS = "SHA256SUMS"
IMAGES = "images"


def store_images(
    image_root: Path, file_names: Sequence[str], store: Store, output: Path, processes: int
) -> dict[str, str]:
    """Computes the SHA-256 of every image and, unless only lists are wanted, puts it into `output/images`.

    Args:
        image_root: The folder that the names are relative to.
        file_names: With forward slashes.
        store: `link` makes hard links, or copies where the file system does not let it.
        output: Folder of the stage.
        processes: How many to use at the most.

    Returns:
        SHA-256 in hexadecimal by name.

    Raises:
        TrainingError: An image cannot be read, or not be written.
    """
    chunks = map_chunks(_store_chunk, (image_root, store, output), file_names, processes=processes, chunk=64)
    sums: Iterator[str] = (one for chunk in chunks for one in chunk)
    return dict(zip(file_names, progress(sums, "sample: images", len(file_names)), strict=True))


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    """Writes `SHA256SUMS`, as `sha256sum -c` reads it in the folder of images."""
    text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    (folder / SUMS).write_text(text, encoding="utf-8")


def read_sums(folder: Path) -> dict[str, str]:
    """SHA-256 by name of file, as `write_sums` left them.

    Raises:
        TrainingError: The folder has no such list.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise TrainingError(f"{folder / SUMS}: {error.strerror}; run the sample stage again") from error
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines) if name}


def _store_chunk(shared: tuple[Path, Store, Path], file_names: Sequence[str]) -> list[str]:
    image_root, store, output = shared
    try:
        return [_store_one(image_root / name, store, output / IMAGES / name) for name in file_names]
    except OSError as error:
        raise TrainingError(
            f"sample: {error.filename2 or error.filename}: {error.strerror}; the image was there when the sample began"
        ) from error


def _store_one(original: Path, store: Store, place: Path) -> str:
    if store != "list":
        place.parent.mkdir(parents=True, exist_ok=True)
        if store == "copy" or not _linked(original, place):
            shutil.copyfile(original, place)
    return file_sha256(original)


def _linked(original: Path, place: Path) -> bool:
    try:
        os.link(original.resolve(), place)
    except OSError:
        return False
    return True
