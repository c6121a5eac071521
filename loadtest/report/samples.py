"""One look at the server, as a line of JSON, and what follows from a row of them. Pure but for reading the file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from loadtest.report.exposition import ModelCounts, ProcessCounts

_OF_PROCESS: Final = tuple(entry.name for entry in fields(ProcessCounts))


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of the server at one moment; None where it could not be seen."""

    time_s: float
    """Seconds since the epoch."""
    process: ProcessCounts | None = None
    models: Mapping[str, ModelCounts] | None = None
    """By `model/version`."""
    note: str = ""
    """Why something could not be seen."""

    def to_line(self) -> str:
        """One line of JSON, without its end."""
        content: dict[str, Any] = {"time_s": round(self.time_s, 3)}
        if self.process is not None:
            content["process"] = {name: getattr(self.process, name) for name in self.process.__slots__}
        if self.models is not None:
            content["models"] = {name: counts.to_json() for name, counts in self.models.items()}
        if self.note:
            content["note"] = self.note
        return json.dumps(content)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """What `to_line` wrote.

        Raises:
            ValueError: It did not write this.
        """
        try:
            content = json.loads(line)
            process = content.get("process")
            models = content.get("models")
            return cls(
                float(content["time_s"]),
                None if process is None else ProcessCounts(**{name: process[name] for name in _OF_PROCESS}),
                None if models is None else {name: ModelCounts.from_json(counts) for name, counts in models.items()},
                str(content.get("note", "")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no sample of a server: {line[:80]!r}") from error


@dataclass(frozen=True, slots=True)
class Interval:
    """What the server did between two samples."""

    begin_s: float
    """Seconds since the epoch."""
    end_s: float
    cores: float | None
    """CPU cores that were busy, on average; None where the process could not be seen."""
    resident_bytes: int | None
    pending: float | None
    """Requests that waited for an instance at its end, of all models; None where the metrics could not be read."""
    open: float | None
    answered_per_second: float | None
    batch_rows: float | None
    """Mean rows of the batches that were executed; None without any."""
    stages_s: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By stage: requests that passed it, and the seconds that they spent there together."""

    @property
    def middle_s(self) -> float:
        """Its middle, in seconds since the epoch."""
        return (self.begin_s + self.end_s) / 2


def read_samples(path: Path) -> list[Sample]:
    """The samples of a file; a last line that was not finished is left out.

    Raises:
        ValueError: Another line is none.
    """
    samples: list[Sample] = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            samples.append(Sample.from_line(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number}: {error}") from error
    return samples


def intervals(samples: Sequence[Sample]) -> list[Interval]:
    """What happened from each sample to the next. Counters that fell belong to another server: they count from 0."""
    return [_interval(before, after) for before, after in pairwise(samples) if after.time_s > before.time_s]


def closed_batches(samples: Sequence[Sample]) -> dict[str, float]:
    """Batches that were executed from the first sample to the last, by why they were closed."""
    return _grown(samples, lambda counts: counts.closed)


def failures(samples: Sequence[Sample]) -> dict[str, float]:
    """Requests that failed from the first sample to the last, by the server's reason."""
    return _grown(samples, lambda counts: counts.failed)


def notes(samples: Sequence[Sample]) -> list[str]:
    """Why something could not be seen, each reason once."""
    return list(dict.fromkeys(sample.note for sample in samples if sample.note))


def _interval(before: Sample, after: Sample) -> Interval:
    seconds = after.time_s - before.time_s
    cores = None
    if before.process is not None and after.process is not None:
        cores = max(0.0, after.process.cpu_s - before.process.cpu_s) / seconds
    resident = None if after.process is None else after.process.resident_bytes
    if after.models is None or before.models is None:
        return Interval(before.time_s, after.time_s, cores, resident, None, None, None, None)
    answered = rows = batches = 0.0
    stages: dict[str, tuple[float, float]] = {}
    for name, now in after.models.items():
        then = before.models.get(name, ModelCounts())
        answered += _more(then.answered, now.answered)
        if now.closed:  # the model that executes: a detection model over it counts its shares of the same batches
            rows += _more(then.rows, now.rows)
            batches += _more(then.batches, now.batches)
        for stage, (count, sum_s) in now.stages.items():
            old_count, old_sum_s = then.stages.get(stage, (0.0, 0.0))
            known_count, known_sum_s = stages.get(stage, (0.0, 0.0))
            stages[stage] = (known_count + _more(old_count, count), known_sum_s + _more(old_sum_s, sum_s))
    return Interval(
        before.time_s,
        after.time_s,
        cores,
        resident,
        sum(counts.pending for counts in after.models.values()),
        sum(counts.open for counts in after.models.values()),
        answered / seconds,
        rows / batches if batches else None,
        stages,
    )


def _more(then: float, now: float) -> float:
    return now - then if now >= then else now


def _grown(samples: Sequence[Sample], part: Any) -> dict[str, float]:
    grown: dict[str, float] = {}
    known = [sample.models for sample in samples if sample.models is not None]
    for before, after in pairwise(known):
        for name, reason, value in _parts(after, part):
            then = part(before.get(name, ModelCounts())).get(reason, 0.0)
            grown[reason] = grown.get(reason, 0.0) + _more(then, value)
    return {reason: count for reason, count in grown.items() if count}


def _parts(models: Mapping[str, ModelCounts], part: Any) -> Iterator[tuple[str, str, float]]:
    for name, counts in models.items():
        for reason, value in part(counts).items():
            yield name, reason, value
