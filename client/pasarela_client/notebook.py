"""Results as notebooks show them: the picture, if there is one, and a table."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Final

from pasarela_client.errors import MissingExtra, PasarelaError

if TYPE_CHECKING:
    from pasarela_client.detections import Detections

_EDGE_PX: Final = 800
"""Longest edge of a picture in a notebook, which keeps all of it in its file."""
_ROWS: Final = 20


def to_html(found: Detections) -> str:
    """A piece of HTML that needs nothing else."""
    columns = ("name", "score", "left", "top", "right", "bottom")
    rows = [(html.escape(one.name), f"{one.score:.2f}", *(f"{edge:.0f}" for edge in one.box)) for one in found[:_ROWS]]
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    more = f"<p>… {len(found) - _ROWS} more</p>" if len(found) > _ROWS else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return f"<div><p>{html.escape(_title(found))}</p>{_picture(found)}{table}{more}</div>"


def _title(found: Detections) -> str:
    width, height = found.image_size
    counted = ", ".join(f"{count} {name}" for name, count in found.counts().items()) or "nothing found"
    origin = f"{found.origin}, " if found.origin else ""
    return f"{origin}{width}x{height}: {counted}"


def _picture(found: Detections) -> str:
    if found.image is None:
        return ""
    try:
        picture = found.draw()
    except (PasarelaError, MissingExtra):
        return ""  # what is shown has no place for an error; `draw` says it
    picture.thumbnail((_EDGE_PX, _EDGE_PX))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}">'
