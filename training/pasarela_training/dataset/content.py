"""What a split of the YOLO form holds, as one digest: training starts anew when it changes, and only then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

CONTENT = "content.json"


def content_digest(entries: Iterable[tuple[str, str, str]]) -> str:
    """One digest of all images and labels of a split.

    Args:
        entries: Name, SHA-256 of the image and text of the labels, for each image; in any order.
    """
    digest = hashlib.sha256()
    for name, image_sha256, labels in sorted(entries):
        digest.update(f"{name}\0{image_sha256}\0{hashlib.sha256(labels.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()


def write_contents(folder: Path, digests: dict[str, str]) -> None:
    """Keeps the digest of each split beside the labels."""
    (folder / CONTENT).write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


def read_contents(folder: Path) -> dict[str, str]:
    """The digest of each split, as `write_contents` left them."""
    digests: dict[str, str] = json.loads((folder / CONTENT).read_text(encoding="utf-8"))
    return digests
