"""A version's manifest.json: the checksums that its files must have to be whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

MANIFEST_FILE = "manifest.json"


def read_checksums(folder: Path) -> Mapping[str, str] | str | None:
    """What a version's manifest says.

    Returns:
        By file name, the SHA-256 in hexadecimal; None if there is no manifest or it lists no checksums; a text that
        says what is wrong if it cannot be read, as while it is being written.
    """
    try:
        content = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return f"its {MANIFEST_FILE} is no complete JSON"
    listed = content.get("sha256") if isinstance(content, dict) else None
    if listed is None:
        return None
    if not isinstance(listed, dict) or not all(isinstance(digest, str) for digest in listed.values()):
        return f"its {MANIFEST_FILE} has a 'sha256' that is no table of checksums"
    return listed


def read_quality(folder: Path) -> dict[str, float]:
    """How well a version detects, as it was measured when it was published.

    Returns:
        By the name of a split (`val`, `test`), its mAP at IoU 0.50:0.95, from 0 to 1. Empty if there is no manifest or
        it does not say: nothing depends on it.
    """
    try:
        splits = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["measured"]["splits"]
        found = {str(split): float(figures["map50_95"]) for split, figures in splits.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return {split: value for split, value in found.items() if 0 <= value <= 1}


def find_fault(checksums: Mapping[str, str] | str | None, digests: Mapping[str, str]) -> str | None:
    """Why files are not those that the manifest lists; None if they are. Pure.

    Args:
        checksums: What `read_checksums` returned.
        digests: Of the files that are there, by name.
    """
    if checksums is None or isinstance(checksums, str):
        return checksums
    for name, expected in sorted(checksums.items()):
        if name not in digests:
            return f"{name} is missing, which its {MANIFEST_FILE} lists"
        if digests[name] != expected.lower():
            return f"{name} is not whole, or was changed: its {MANIFEST_FILE} lists another checksum"
    return None
