"""The parts of a batch, put together on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pasarela_server.tensor import Array


def together(parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    """The rows of all parts, one part's after the other's. A single part is not copied."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
