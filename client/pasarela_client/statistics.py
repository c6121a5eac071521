"""What models have done, and what they did between two readings. Pure values.

::

    earlier = server.statistics()
    ...
    traffic = (server.statistics() - earlier).of("garments")
    print(traffic.requests_per_s, traffic.mean_batch_rows, traffic.mean_ms("infer"))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self, TypeVar

from pasarela_client.timings import BETWEEN

STAGES: Final = ("queue", "input", "infer", "output")
"""The stages that statistics tell apart, in the order in which a request passes them."""


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something was done, and how long that took together."""

    count: int = 0
    total_ns: int = 0

    @property
    def mean_ns(self) -> float:
        """What it took once, on average; 0 if it was never done."""
        return self.total_ns / self.count if self.count else 0.0

    @property
    def mean_ms(self) -> float:
        """The same in milliseconds."""
        return self.mean_ns / 1e6

    def __sub__(self, earlier: Duration) -> Duration:
        return Duration(self.count - earlier.count, self.total_ns - earlier.total_ns)


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """What batches of one size took."""

    rows: int
    input: Duration = Duration()
    """Gathering the rows (of images: with decoding)."""
    infer: Duration = Duration()
    output: Duration = Duration()
    """Splitting the outputs (of detections: with suppression)."""

    @property
    def executions(self) -> int:
        """How many batches of this size were executed."""
        return self.infer.count

    @property
    def total_ns(self) -> int:
        """All three together, of all these batches."""
        return self.input.total_ns + self.infer.total_ns + self.output.total_ns

    @property
    def mean_ms(self) -> float:
        """All three together, of one batch."""
        return self.total_ns / self.executions / 1e6 if self.executions else 0.0

    def __sub__(self, earlier: BatchTimes) -> BatchTimes:
        return BatchTimes(
            self.rows, self.input - earlier.input, self.infer - earlier.infer, self.output - earlier.output
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What one version of a model did. Durations in nanoseconds; the stages count the requests that were answered."""

    name: str
    version: str
    answered: Duration = Duration()
    """Requests that were answered, from request to response."""
    failed: Duration = Duration()
    """Requests that failed after the model was found."""
    queue: Duration = Duration()
    """Waiting for an instance."""
    input: Duration = Duration()
    """Making the model's input, decoding of images included."""
    infer: Duration = Duration()
    output: Duration = Duration()
    """Making the response out of the model's output, suppression of boxes included."""
    cache_hit: Duration = Duration()
    cache_miss: Duration = Duration()
    rows: int = 0
    """Inferences: a request of n rows counts n times."""
    executions: int = 0
    """Batches."""
    batches: tuple[BatchTimes, ...] = ()
    """By rows, smallest first; only sizes that were executed."""

    @property
    def mean_batch_rows(self) -> float:
        """Rows of a batch, on average; 0 if nothing was executed."""
        return self.rows / self.executions if self.executions else 0.0

    @property
    def busy_ns(self) -> int:
        """How long the instances computed, all together."""
        return sum(batch.total_ns for batch in self.batches)

    @property
    def stages_ns(self) -> dict[str, float]:
        """Means of a request by stage, and what is left between them: together `answered.mean_ns`.

        Empty if no request was answered.
        """
        if not self.answered.count:
            return {}
        sums = {stage: self._stage(stage).total_ns for stage in STAGES}
        sums[BETWEEN] = max(0, self.answered.total_ns - sum(sums.values()))
        return {stage: ns / self.answered.count for stage, ns in sums.items()}

    def mean_ms(self, stage: str) -> float:
        """How long a request spent in a stage (one of `STAGES`), on average; 0 if none was answered."""
        return self._stage(stage).total_ns / self.answered.count / 1e6 if self.answered.count else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it in types that JSON knows."""
        return {
            "model": self.name,
            "version": self.version,
            "answered": self.answered.count,
            "failed": self.failed.count,
            "rows": self.rows,
            "executions": self.executions,
            "mean_batch_rows": round(self.mean_batch_rows, 4),
            "mean_ms": {
                "request": round(self.answered.mean_ms, 4),
                **{stage: round(self.mean_ms(stage), 4) for stage in STAGES},
            },
            "batches": [
                {"rows": batch.rows, "executions": batch.executions, "mean_ms": round(batch.mean_ms, 4)}
                for batch in self.batches
            ],
        }

    def _stage(self, stage: str) -> Duration:
        if stage not in STAGES:
            raise KeyError(f"no stage '{stage}'; statistics tell apart: {', '.join(STAGES)}")
        duration: Duration = getattr(self, stage)
        return duration


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelStatistics(Counts):
    """What one version has done since it was loaded."""

    last_inference_s: float | None = None
    """When it last executed, in seconds since the epoch; None if it never did."""

    def since(self, earlier: Counts | None, seconds: float) -> ModelTraffic:
        """What it did since an earlier reading of the same version, which was taken so many seconds before.

        A version that was loaded anew in between has begun anew to count: then all that it has done is taken.
        """
        began_anew = earlier is None or any(
            now < then
            for now, then in (
                (self.answered.count, earlier.answered.count),
                (self.failed.count, earlier.failed.count),
                (self.rows, earlier.rows),
                (self.executions, earlier.executions),
            )
        )
        before: Counts = Counts(name=self.name, version=self.version) if began_anew or earlier is None else earlier
        grown = {
            one.name: getattr(self, one.name) - getattr(before, one.name)
            for one in fields(Counts)
            if one.name not in {"name", "version", "batches"}
        }
        return ModelTraffic(
            name=self.name,
            version=self.version,
            batches=_grown(before.batches, self.batches),
            seconds=seconds,
            began_anew=began_anew,
            **grown,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelTraffic(Counts):
    """What one version did between two readings."""

    seconds: float = 0.0
    """How long that was."""
    began_anew: bool = False
    """Whether the version was loaded in between, so that these are all counts since then."""

    @property
    def requests_per_s(self) -> float:
        """Answered ones."""
        return self._rate(self.answered.count)

    @property
    def failures_per_s(self) -> float:
        """Requests that failed."""
        return self._rate(self.failed.count)

    @property
    def rows_per_s(self) -> float:
        """Inferences."""
        return self._rate(self.rows)

    @property
    def executions_per_s(self) -> float:
        """Batches."""
        return self._rate(self.executions)

    @property
    def concurrency(self) -> float:
        """Requests in the server at a time, on average: Little's law."""
        return self._rate(self.answered.total_ns / 1e9)

    def busy(self, instances: int) -> float:
        """Share of the time in which so many instances computed, 0 to 1."""
        return min(1.0, self._rate(self.busy_ns / 1e9) / instances) if instances else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it in types that JSON knows."""
        return Counts.to_dict(self) | {
            "seconds": round(self.seconds, 4),
            "requests_per_s": round(self.requests_per_s, 4),
            "failures_per_s": round(self.failures_per_s, 4),
            "rows_per_s": round(self.rows_per_s, 4),
            "executions_per_s": round(self.executions_per_s, 4),
            "concurrency": round(self.concurrency, 4),
        }

    def _rate(self, amount: float) -> float:
        return amount / self.seconds if self.seconds > 0 else 0.0


AnyCounts = TypeVar("AnyCounts", bound=Counts)


@dataclass(frozen=True)
class _Versions(Sequence[AnyCounts]):
    """Several versions of several models, by name and version."""

    versions: tuple[AnyCounts, ...]

    def __len__(self) -> int:
        return len(self.versions)

    def __iter__(self) -> Iterator[AnyCounts]:
        return iter(self.versions)

    def __getitem__(self, index: Any) -> Any:
        return self.versions[index]

    def of(self, name: str, version: str = "") -> AnyCounts:
        """One model; of several versions the highest, unless one is named.

        Raises:
            KeyError: It is not among them.
        """
        found = [each for each in self.versions if each.name == name and version in ("", each.version)]
        if not found:
            raise KeyError(f"no statistics of '{name}'" + (f" version {version}" if version else ""))
        return max(found, key=lambda each: version_key(each.version))


@dataclass(frozen=True)
class Traffic(_Versions[ModelTraffic]):
    """What was done between two readings."""

    seconds: float


@dataclass(frozen=True)
class Statistics(_Versions[ModelStatistics]):
    """One reading of a server's statistics. `later - earlier` is what was done in between."""

    taken_s: float
    """When it was taken, on the client's monotonic clock."""

    def __sub__(self, earlier: Self) -> Traffic:
        """What every version of this reading did since the earlier one; versions that are gone are left out."""
        before = {(each.name, each.version): each for each in earlier}
        seconds = self.taken_s - earlier.taken_s
        return Traffic(tuple(each.since(before.get((each.name, each.version)), seconds) for each in self), seconds)


def version_key(version: str) -> tuple[int, str]:
    """Sorts versions as numbers: 9 before 10."""
    return (int(version), "") if version.isdecimal() else (0, version)


def _grown(before: Sequence[BatchTimes], after: Sequence[BatchTimes]) -> tuple[BatchTimes, ...]:
    old = {batch.rows: batch for batch in before}
    grown = (batch - old.get(batch.rows, BatchTimes(batch.rows)) for batch in after)
    return tuple(batch for batch in grown if batch.executions)
