"""What frameworks have in common that can use all cores of a model for one request; see `base.WideSession`."""

from __future__ import annotations

from pasarela_server.backends.base import BackendOptions
from pasarela_server.errors import InvalidModel

PARAMETER = "wide"
"""Of config.pbtxt: `false` keeps each request to the cores of its instance."""


def may_go_wide(options: BackendOptions, *, on_cpu: bool) -> bool:
    """Whether a request may use the cores of several instances. Pure.

    Raises:
        InvalidModel: The parameter says neither yes nor no.
    """
    asked = options.parameters.get(PARAMETER, "true")
    if asked not in ("true", "false"):
        raise InvalidModel(f"parameter {PARAMETER!r} is {asked!r}; expected true or false")
    return asked == "true" and on_cpu and options.instances > 1
