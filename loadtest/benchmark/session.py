"""Takes measurements one after the other, round by round, and keeps what was taken on disk all the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from loadtest.benchmark.bench import Bench
from loadtest.benchmark.child import ChildFailed
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.benchmark.results import Entry, Results
from loadtest.benchmark.settings import Settings

Keep = Callable[[str, Entry], None]
"""Told of an entry after each step; a later one of the same name takes the place of the earlier."""


def take(measurements: Sequence[Measurement], settings: Settings, conditions: Mapping[str, Any], keep: Keep) -> Results:
    """Takes them all.

    Args:
        measurements: In this order.
        settings: Of the run.
        conditions: Of the machine.
        keep: Told of each entry as it grows.

    Raises:
        NothingToMeasure: The repository holds nothing for one of them.
        ChildFailed: A process that measures failed.
        ServerDidNotStart: A server did.
    """
    results: Results = {}
    for number, measurement in enumerate(measurements, start=1):
        print(f"{measurement.name} ({number} of {len(measurements)}): {measurement.about}", flush=True)
        begun = time.monotonic()
        entry = _one(measurement, settings, conditions, keep)
        results[measurement.name] = entry
        print(f"{measurement.name}: done in {time.monotonic() - begun:.0f} s", flush=True)
    return results


def in_turn(steps: Sequence[Step], round_number: int) -> Sequence[Step]:
    """The order of a round: there and back, so that what drifts during a round favours nobody."""
    return steps if round_number % 2 == 0 else steps[::-1]


def _one(measurement: Measurement, settings: Settings, conditions: Mapping[str, Any], keep: Keep) -> Entry:
    rounds = 1 if measurement.once else settings.rounds
    entry = Entry(False, f"{datetime.now(UTC):%Y-%m-%d}", rounds, settings.seconds, conditions)
    with Bench(settings) as bench:
        steps = measurement.prepare(bench)
        figures = Figures()
        with tqdm(total=rounds * len(steps), unit="figure") as bar:
            for number in range(rounds):
                for step in in_turn(steps, number):
                    bar.set_description(step.what)
                    try:
                        step.take(figures)
                    except ChildFailed as error:
                        raise ChildFailed("\n  ".join([f"{step.what}: {error}", *bench.last_words()])) from error
                    entry = replace(entry, notes=tuple(bench.notes), taken=figures.taken)
                    keep(measurement.name, entry)
                    bar.update()
    entry = replace(entry, complete=True)
    keep(measurement.name, entry)
    return entry
