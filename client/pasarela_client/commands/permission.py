"""What to do where a server does not let its clients load and unload models. Pure."""

from __future__ import annotations

import re
from typing import Final

from pasarela_client.errors import AccessDenied, ModelUnavailable, PasarelaError, Unsupported

_NOT_EXPLICIT: Final = re.compile(r"control mode|explicit model load", re.IGNORECASE)
"""How Pasarela and Triton word it."""
_FLAG: Final = "--model-control-mode explicit"


def explained(error: PasarelaError) -> str:
    """The error's message, and what to do if the server leaves loading to nobody, or not to us."""
    if isinstance(error, (ModelUnavailable, Unsupported)) and _NOT_EXPLICIT.search(error.message):
        flag = "" if _FLAG in error.message else f"; start the server with {_FLAG}"
        return f"{error.message}{flag} (here: make serve ARGS=\"{_FLAG} --load-model '*'\")"
    if isinstance(error, AccessDenied):
        return f"this server does not let you load or unload models: {error.message}"
    return error.message
