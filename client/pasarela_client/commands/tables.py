"""Results as text for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pasarela_client.detections import Detections


def format_table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = "") -> str:
    """Rows in aligned columns, two spaces apart.

    Args:
        rows: Rows of the same length.
        right: Columns that are aligned to the right.
        indent: Begins each line.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(indent + line.rstrip() for line in lines)


def format_detections(path: str | Path, found: Detections, saved: Path | None = None) -> str:
    """What was found on one image: a line for the image, one for the columns and one for each detection."""
    width, height = found.image_size
    title = f"{path}  {width}x{height}  {len(found)} found  {found.timings.total_ms:.0f} ms on the server"
    if saved is not None:
        title += f"  saved as {saved}"
    if not len(found):
        return title
    rows = [["name", "score", "left", "top", "right", "bottom"]]
    rows += [[one.name, f"{one.score:.2f}", *(f"{edge:.0f}" for edge in one.box)] for one in found]
    return f"{title}\n{format_table(rows, right=range(1, 6), indent='  ')}"
