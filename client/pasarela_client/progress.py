"""How far a long piece of work is: told to a function, or shown as a bar on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias

from pasarela_client.errors import MissingExtra


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    done: int
    """Images that have a result, errors among them."""
    failed: int
    """Those whose result is an error."""
    total: int | None
    """All of them; None if that is not known."""
    elapsed_s: float
    """Since the first was begun."""

    @property
    def per_second(self) -> float:
        """Images done in a second, on average."""
        return self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0


Wanted: TypeAlias = bool | Callable[[Progress], None] | None
"""True shows a bar, False nothing, None a bar if a person watches; a function is told after each image."""


def total_of(items: object) -> int | None:
    """How many there are, if that is known before they were counted."""
    return len(items) if isinstance(items, Sized) else None


class ProgressReport:
    """Counts, and tells. Used by one: whoever hands out the results."""

    def __init__(self, wanted: Wanted, total: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins, with a bar if one is wanted.

        Raises:
            MissingExtra: A bar is wanted in so many words, and tqdm is not installed.
        """
        self._total = total
        self._clock = clock
        self._began_s = clock()
        self._done = self._failed = 0
        self._tell = wanted if callable(wanted) else None
        self._bar = None if callable(wanted) else _bar(wanted, total)

    def advance(self, *, failed: bool) -> None:
        """One image more has a result."""
        self._done += 1
        self._failed += failed
        if self._bar is not None:
            if failed:
                self._bar.set_postfix_str(f"{self._failed} failed", refresh=False)
            self._bar.update()
        if self._tell is not None:
            self._tell(Progress(self._done, self._failed, self._total, self._clock() - self._began_s))

    def close(self) -> None:
        """Ends the bar where it stands."""
        if self._bar is not None:
            self._bar.close()


def _bar(wanted: bool | None, total: int | None) -> Any:
    if not (wanted or (wanted is None and sys.stderr.isatty())):
        return None
    try:
        from tqdm import tqdm
    except ImportError as error:
        if wanted:
            raise MissingExtra("a progress bar needs tqdm: pip install 'pasarela-client[media]'") from error
        return None
    return tqdm(total=total, unit=" images", file=sys.stderr, dynamic_ncols=True)
