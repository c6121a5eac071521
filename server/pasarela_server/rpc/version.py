"""Model versions as they stand on the wire."""

from __future__ import annotations

import re

from pasarela_server.errors import InvalidRequest

_VERSION = re.compile(r"[1-9][0-9]{0,17}")


def parse_version(model_name: str, version: str) -> int | None:
    """The version a request asks for; None, for an empty text, asks for the highest that is ready.

    Raises:
        InvalidRequest: The text is no positive integer.
    """
    if not version:
        return None
    if _VERSION.fullmatch(version) is None:
        raise InvalidRequest(
            f"model '{model_name}': expected a positive integer as version, or an empty text for the highest; "
            f"got '{version[:40]}'"
        )
    return int(version)
