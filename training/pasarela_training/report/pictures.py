"""Images that a page carries in itself."""

from __future__ import annotations

import base64
import io
from pathlib import Path

MAX_WIDTH_PX = 1400


def inlined(path: Path) -> str | None:
    """A picture as a `data:` URI, no wider than `MAX_WIDTH_PX`; None if it is not there or no picture."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
            kind = "JPEG" if opened.format == "JPEG" else "PNG"
    except (OSError, ImportError, Image.DecompressionBombError):
        # ImportError: Ultralytics, once imported, makes Pillow look for a plugin for what it does not know.
        return None
    if picture.width > MAX_WIDTH_PX:
        height = max(1, round(picture.height * MAX_WIDTH_PX / picture.width))
        picture = picture.resize((MAX_WIDTH_PX, height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, kind, **({"quality": 85} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
