"""What the load generator itself can do, beside what it measured. Pure but for reading the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

LIMIT_FILE: Final = "generator.json"
"""Its name in the folder of a run."""
NEAR: Final = 0.7
"""From this part of the limit on, a figure may be the generator's and not the server's."""


@dataclass(frozen=True, slots=True)
class GeneratorLimit:
    """How many requests a second the same users made to a server that answers at once."""

    per_second: float
    users: int
    """Closed users that made them."""
    workers: int
    """Locust processes."""
    seconds: float
    """How long it was measured."""
    kinds: tuple[str, ...]
    """The kinds of users."""
    measured_on: str
    """The date, as an earlier measurement on this machine may stand in."""

    def write(self, folder: Path) -> Path:
        """Writes it into a folder, whole or not at all."""
        path = folder / LIMIT_FILE
        beside = path.with_name(path.name + ".partial")
        beside.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return beside.replace(path)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The limit in a folder; None if there is none.

        Raises:
            ValueError: The file holds something else.
        """
        path = folder / LIMIT_FILE
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**content, "kinds": tuple(content["kinds"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} does not hold the limit of a generator: {error}") from error


def beside_limit(
    limit: GeneratorLimit | None, busiest_per_second: float | None, lag_p99_ms: float | None, overrun: int
) -> Mapping[str, Any]:
    """The generator's part of a report.

    Args:
        limit: None if it was not measured.
        busiest_per_second: What the run asked of the generator where it asked most; None without any requests.
        lag_p99_ms: How late open requests were sent; None in a closed loop.
        overrun: Requests that were due and not sent.
    """
    share = None
    if limit is not None and limit.per_second > 0 and busiest_per_second is not None:
        share = float(f"{busiest_per_second / limit.per_second:.4g}")
    return {
        "limit": None if limit is None else {**asdict(limit), "kinds": list(limit.kinds)},
        "busiest_per_second": busiest_per_second,
        "share": share,
        "near": NEAR,
        "warning": share is not None and share >= NEAR,
        "lag_p99_ms": lag_p99_ms,
        "overrun": overrun,
    }
