"""Look after look → what there is to show. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pasarela_client.top.reading import LATENCIES, SUMMARY_US, Lost, Reading
from pasarela_client.top.rows import Row, make_rows, metrics_fit


@dataclass(frozen=True, slots=True)
class View:
    """What there is to show after a look."""

    url: str
    clock_s: float
    """When it was looked, in seconds since the epoch."""
    server: str = ""
    """The server's name and version."""
    seconds: float = 0.0
    """What the rates are over; 0 before the second look."""
    rows: tuple[Row, ...] = ()
    """Everything, in the server's order. After a look that failed: what was known before."""
    notes: tuple[str, ...] = ()
    """What one should know beside the rows."""
    lost: str = ""
    """Why nobody answered; empty if someone did."""
    away_s: float = 0.0
    """For how long nobody has answered."""

    def to_dict(self, rows: list[Row]) -> dict[str, Any]:
        """All of it in types that JSON knows, with the rows that are wanted."""
        if self.lost:
            return {"at_s": round(self.clock_s, 3), "url": self.url, "lost": self.lost, "away_s": round(self.away_s, 3)}
        return {
            "at_s": round(self.clock_s, 3),
            "url": self.url,
            "server": self.server,
            "seconds": round(self.seconds, 4),
            "notes": list(self.notes),
            "models": [row.to_dict() for row in rows],
        }


class Watch:
    """Keeps what is needed of earlier looks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._last: Reading | None = None
        self._shown: tuple[Row, ...] = ()
        self._lost_since_s: float | None = None

    def see(self, look: Reading | Lost) -> View:
        """What there is to show after one more look."""
        return self._see_lost(look) if isinstance(look, Lost) else self._see_reading(look)

    def _see_lost(self, look: Lost) -> View:
        if self._lost_since_s is None:
            self._lost_since_s = look.at_s if self._last is None else self._last.at_s
        away_s = look.at_s - self._lost_since_s
        return View(self._url, look.clock_s, rows=self._shown, lost=look.why, away_s=away_s)

    def _see_reading(self, reading: Reading) -> View:
        earlier = self._last
        rows = tuple(make_rows(earlier, reading))
        notes = (*self._what_happened(earlier, reading), *_what_is_missing(earlier, reading))
        seconds = reading.at_s - earlier.at_s if earlier else 0.0
        self._last, self._shown, self._lost_since_s = reading, rows, None
        return View(self._url, reading.clock_s, reading.server, seconds, rows, notes)

    def _what_happened(self, earlier: Reading | None, later: Reading) -> list[str]:
        notes = []
        if self._lost_since_s is not None:
            notes.append(f"the server is back: nobody answered for {later.at_s - self._lost_since_s:.0f} s")
        if earlier is None or earlier.statistics is None or later.statistics is None:
            return notes
        before = {(each.name, each.version) for each in earlier.statistics if each.answered.count + each.rows}
        anew = [
            each
            for each in later.statistics - earlier.statistics
            if each.began_anew and (each.name, each.version) in before
        ]
        if anew:
            names = ", ".join(f"{each.name} {each.version}" for each in anew)
            notes.append(f"loaded anew since the last look, so that counting began anew: {names}")
        return notes


def _what_is_missing(earlier: Reading | None, reading: Reading) -> list[str]:
    notes = []
    if reading.statistics is None:
        notes.append("no rates: the server keeps no statistics (ModelStatistics)")
    if reading.metrics is None:
        notes.append(f"no percentiles, no queue: {reading.without_metrics}")
    elif not metrics_fit(earlier, reading):
        notes.append("no percentiles, no queue: the metrics are those of another server; --metrics-url says where")
    elif f"{LATENCIES}_bucket" not in reading.metrics and any(each.answered.count for each in reading.statistics or ()):
        if SUMMARY_US in reading.metrics:
            notes.append(f"percentiles are the server's own ({SUMMARY_US}): over about the last minute")
        else:
            notes.append(
                f"no percentiles: the metrics have no histogram {LATENCIES}; Triton tells its own if it is started "
                "with --metrics-config summary_latencies=true"
            )
    return notes
