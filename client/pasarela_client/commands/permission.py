"""What to do where a server does not let its clients load and unload models. Pure."""

from __future__ import annotations

import re
from typing import Final

from pasarela_client.errors import AccessDenied, ModelUnavailable, PasarelaError, Unsupported

_NOT_EXPLICIT: Final = re.compile(r"control mode|model control|polling is enabled|explicit", re.IGNORECASE)
_EXAMPLE: Final = "for example: make serve ARGS=\"--model-control-mode explicit --load-model '*'\""


def explained(error: PasarelaError) -> str:
    """The error's message, and what to do if the server leaves loading to nobody."""
    if isinstance(error, (ModelUnavailable, Unsupported)) and _NOT_EXPLICIT.search(error.message):
        return f"{error.message}; {_EXAMPLE}"
    if isinstance(error, AccessDenied):
        return f"this server does not let you load or unload models: {error.message}"
    return error.message
