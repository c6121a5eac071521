"""Model versions as they stand on the wire."""

from __future__ import annotations

import re

from pasarela_server.errors import InvalidRequest
from pasarela_server.request import VERSION_LABEL, VersionName

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


def parse_version(model_name: str, version: str) -> VersionName:
    """The version a request asks for: a number, a label; None, for an empty text, asks for the highest that is ready.

    Whether the model has that label is for the repository to say.

    Raises:
        InvalidRequest: The text is neither a positive integer nor could be a label.
    """
    if not version:
        return None
    if _NUMBER.fullmatch(version) is not None:
        return int(version)
    if VERSION_LABEL.fullmatch(version) is not None:
        return version
    raise InvalidRequest(
        f"model '{model_name}': expected a positive integer as version, a label, or an empty text for the highest; "
        f"got '{version[:40]}'"
    )
