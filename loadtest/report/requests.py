"""The records of a run as columns: what all figures are computed from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from loadtest.records import BAD, RequestRecord, StepFacts
from pasarela_client.timings import BETWEEN, COARSE_STAGES, STAGES

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

ALL_STAGES: Final = (*STAGES, *(stage for stage in COARSE_STAGES if stage not in STAGES), BETWEEN)


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Parallel columns, one row for each request, in the order in which they were due."""

    due_s: Floats
    """When each was to be sent, on the run's clock."""
    sent_s: Floats
    """When it was; NaN if never."""
    done_s: Floats
    """When its client knew how it ended; NaN if that is not known."""
    latency_ms: Floats
    """What its client waited, from when it was due in an open loop, else from when it was sent; NaN without an end."""
    step: npt.NDArray[np.int64]
    user: Texts
    model: Texts
    outcome: Texts
    status: Texts
    message: Texts
    is_open: Bools
    is_frame: Bools
    """Whether it was a frame of a stream."""
    server_ms: Floats
    """Its time on the server; NaN where the server did not tell."""
    batch_rows: Floats
    """Rows of the batch that it travelled in; NaN where the server did not tell."""
    stages_ms: Mapping[str, Floats]
    """By stage, for those that any request passed; 0 for who did not pass it, NaN where the server did not tell."""

    def __len__(self) -> int:
        """Requests."""
        return len(self.due_s)

    @property
    def answered(self) -> Bools:
        """Those that were answered in time."""
        return np.asarray(self.outcome == "done", dtype=np.bool_)

    @property
    def timed(self) -> Bools:
        """Those whose latency counts: answered, in time or not."""
        late = np.asarray((self.outcome == "late") & (self.status == "OK"), dtype=np.bool_)
        return (self.answered | late) & np.isfinite(self.latency_ms)

    @property
    def bad(self) -> Bools:
        """Those that users of the server would complain of."""
        return np.isin(self.outcome.astype(str), list(BAD))

    @property
    def unanswered(self) -> Bools:
        """Those whose client was still there and got nothing it can use; what objectives call failed."""
        late = (self.outcome == "late") & (self.status != "OK")
        return np.asarray(np.isin(self.outcome.astype(str), ["refused", "failed", "lost"]) | late, dtype=np.bool_)

    @property
    def untimely(self) -> Bools:
        """Those that were answered after their deadline, or never sent."""
        return self.bad & ~self.unanswered

    def where(self, rows: Bools) -> Self:
        """Only some of the rows."""
        chosen = {entry.name: getattr(self, entry.name)[rows] for entry in fields(self) if entry.name != "stages_ms"}
        return type(self)(**chosen, stages_ms={name: column[rows] for name, column in self.stages_ms.items()})

    @classmethod
    def of(cls, records: Sequence[RequestRecord]) -> Self:
        """Columns of records in any order."""
        records = sorted(records, key=lambda record: (record.due_s, record.worker))

        def floats(values: list[float | None]) -> Floats:
            return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

        def texts(values: list[str]) -> Texts:
            return np.array(values, dtype=object)

        latency_s = [record.latency_s for record in records]
        stages = [record.timings.stages for record in records]
        passed = set().union(*stages) if stages else set()
        return cls(
            due_s=floats([record.due_s for record in records]),
            sent_s=floats([record.sent_s for record in records]),
            done_s=floats([record.done_s for record in records]),
            latency_ms=floats([None if one is None else one * 1e3 for one in latency_s]),
            step=np.array([record.step for record in records], dtype=np.int64),
            user=texts([record.user for record in records]),
            model=texts([record.model for record in records]),
            outcome=texts([record.outcome for record in records]),
            status=texts([record.status for record in records]),
            message=texts([record.message for record in records]),
            is_open=np.array([record.loop == "open" for record in records], dtype=np.bool_),
            is_frame=np.array([record.stream is not None for record in records], dtype=np.bool_),
            server_ms=floats([record.timings.total_ms or None for record in records]),
            batch_rows=floats([record.timings.batch_size or None for record in records]),
            stages_ms={
                stage: floats([one.get(stage, 0) / 1e6 if one else None for one in stages])
                for stage in ALL_STAGES
                if stage in passed
            },
        )


def that_count(requests: Requests, steps: Sequence[StepFacts]) -> Requests:
    """Those of steps that belong to the results: the warm-up is left out."""
    counts = np.array([step.counts for step in steps] or [True], dtype=np.bool_)
    known = (requests.step >= 0) & (requests.step < len(counts))
    return requests.where(known & counts[np.clip(requests.step, 0, len(counts) - 1)])
