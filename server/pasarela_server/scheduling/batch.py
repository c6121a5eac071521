"""Requests that are executed together: gathered into one set of arrays, split into one answer each."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pasarela_server.errors import BackendFailure
from pasarela_server.request import Timings
from pasarela_server.scheduling.policy import CloseReason, Waiting
from pasarela_server.tensor import Array


class BatchAnswer(NamedTuple):
    """One request's share of an execution."""

    outputs: Mapping[str, Array]
    """This request's rows only. They may be views of the batch's arrays: read them, do not write."""
    timings: Timings


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One request in the queue. `future` is resolved exactly once, whatever happens."""

    inputs: Mapping[str, Array]
    waiting: Waiting
    priority: int = 0
    """1 is the most urgent; 0 leaves it to the policy."""
    future: Future[BatchAnswer] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries that an instance has taken: none of them can be cancelled any more."""

    entries: tuple[Entry, ...]
    reason: CloseReason
    taken_s: float
    lonely: int = 0
    """How many batches in a row, this one last, found nothing else that waited or was executed."""

    @property
    def rows(self) -> int:
        """Rows of all entries together."""
        return sum(entry.waiting.rows for entry in self.entries)


def shape_key(inputs: Mapping[str, Array], *, batched: bool) -> Hashable:
    """What two requests must have in common to share a batch: every input's type, and its shape but for the rows."""
    return tuple(
        sorted((name, array.dtype.str, array.shape[1:] if batched else array.shape) for name, array in inputs.items())
    )


def placed(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Arrays as backends want them: row-major, their elements where the processor wants them; copied only if not."""
    return {
        name: array if array.flags.c_contiguous and array.flags.aligned else array.copy()
        for name, array in inputs.items()
    }


def gather(parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    """The inputs of all requests, row after row; those of a single one are passed on without a copy if they can be."""
    if len(parts) == 1:
        return placed(parts[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def split(outputs: Mapping[str, Array], rows: Sequence[int]) -> list[Mapping[str, Array]]:
    """Each request's rows of the outputs, as views, in the order of the requests.

    Args:
        outputs: Of the whole batch.
        rows: Of each request.

    Raises:
        BackendFailure: An output has not as many rows as the inputs had.
    """
    if len(rows) == 1:
        return [outputs]
    total = sum(rows)
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != total:
            raise BackendFailure(f"output '{name}' has shape {list(array.shape)} after a batch of {total} rows")
    edges = np.cumsum([0, *rows])
    return [{name: array[start:stop] for name, array in outputs.items()} for start, stop in itertools.pairwise(edges)]
