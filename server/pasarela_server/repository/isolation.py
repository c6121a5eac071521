"""Whether a model's backend runs in a process of its own, and how long one inference may take."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from pasarela_server.backends.isolation.process_log import ProcessLog
from pasarela_server.errors import InvalidModel

PARAMETER = "isolation"
"""Of config.pbtxt; it wins over the server's flag."""


class IsolationMode(enum.Enum):
    """Where backends run; the value is that of the flag and of the parameter."""

    NONE = "none"
    """In the server's process."""
    PROCESS = "process"
    """In a process for each version of a model."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What holds for all models."""

    mode: IsolationMode = IsolationMode.NONE
    timeout_s: float | None = None
    """How long one inference may take; None for ever."""
    log: ProcessLog = field(default_factory=ProcessLog)
    """What processes log."""

    def applies(self, parameters: Mapping[str, str], source: str) -> bool:
        """Whether a model gets a process of its own.

        Args:
            parameters: Those of its configuration.
            source: What messages call that.

        Raises:
            InvalidModel: Its parameter says neither yes nor no.
        """
        written = parameters.get(PARAMETER, self.mode.value)
        try:
            return IsolationMode(written) is IsolationMode.PROCESS
        except ValueError:
            known = " or ".join(mode.value for mode in IsolationMode)
            raise InvalidModel(f"{source}: parameter {PARAMETER!r} is {written!r}; expected {known}") from None


NOT_ISOLATED = Isolation()
"""Models run in the server's process, as long as they like."""
