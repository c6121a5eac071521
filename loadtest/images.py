"""The images that a load test sends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pasarela_proto import detection_pb2 as pb

ROOT: Final = Path(__file__).resolve().parent.parent
DEFAULT_FOLDERS: Final = (ROOT / "docs" / "images" / "samples", ROOT / "tests" / "data")
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class NoImages(Exception):
    """There is nothing to send; the message says where it was looked for."""


def image_paths(folder: Path | None = None) -> list[Path]:
    """The files to send, in order.

    Args:
        folder: None takes the first of the project's own folders that has images.

    Raises:
        NoImages: There are none.
    """
    folders = DEFAULT_FOLDERS if folder is None else (folder,)
    for candidate in folders:
        if candidate.is_dir():
            paths = sorted(path for path in candidate.iterdir() if path.suffix.lower() in _SUFFIXES)
            if paths:
                return paths
    raise NoImages(f"no images to send in {' or '.join(map(str, folders))}; name a folder with `images`")


def load_images(folder: Path | None = None) -> list[bytes]:
    """The contents of `image_paths`: the same for every user and for every run.

    Raises:
        NoImages: There are none.
    """
    return [path.read_bytes() for path in image_paths(folder)]


def detect_requests(model: str, folder: str | None) -> Sequence[pb.DetectRequest]:
    """A request for each image of a folder.

    Args:
        model: The model that is asked.
        folder: None takes the project's own images.

    Raises:
        NoImages: There are none.
    """
    images = load_images(None if folder is None else Path(folder))
    return [pb.DetectRequest(model_name=model, image=pb.Image(encoded=content)) for content in images]
