"""How requests are called in the server's logs and traces, where nobody named them."""

from __future__ import annotations

import secrets

_BYTES = 8


def new_request_id() -> str:
    """A name that no other request has: 16 hexadecimal digits."""
    return secrets.token_hex(_BYTES)
