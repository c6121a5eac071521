"""Measures all variants, round by round: in each round every one of them gets a server of its own, one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from loadtest.benchmark.child import child
from loadtest.variants.measuring import CannotRun, Serving, description_of, judge, serving, take_round
from loadtest.variants.results import Comparison, VariantResult
from loadtest.variants.test_set import TestSet


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long."""

    repository: Path
    rounds: int
    seconds: float
    clients: int
    images: tuple[Path, ...]
    """That are sent."""
    folder: Path
    """For logs and caches, gone afterwards."""
    test_set: TestSet | None = None
    """That the mAP is measured on; None leaves it out."""


def take(comparison: Comparison, plan: Plan, keep: Callable[[Comparison], None]) -> None:
    """Measures, and fills the comparison on the way.

    The first start of each variant is told by itself: later ones find what it left in the model cache. Rounds go there
    and back, so that what drifts favours nobody. A variant that fails is left out from then on, with the reason.

    Args:
        comparison: Its variants get their results.
        plan: What is measured.
        keep: Told of the comparison after each step.
    """
    with (
        child("loadtest.benchmark.clients", *map(str, plan.images)) as generator,
        tqdm(total=(plan.rounds + 1) * len(comparison.variants), unit="server") as bar,
    ):
        how = Serving(plan.repository, plan.folder, generator, plan.clients, plan.seconds)
        for number in range(plan.rounds + 1):
            for variant in in_turn(comparison.variants, number):
                if not variant.problem:
                    what = "first start" if number == 0 else f"round {number}"
                    bar.set_description(f"{variant.name}, {what}")
                    _step(variant, how, plan, number)
                    keep(comparison)
                bar.update()
    comparison.complete = True
    keep(comparison)


def in_turn(variants: Sequence[VariantResult], number: int) -> Sequence[VariantResult]:
    """The order of a round: there and back."""
    return variants if number % 2 == 0 else variants[::-1]


def _step(variant: VariantResult, how: Serving, plan: Plan, number: int) -> None:
    log = plan.folder / f"{variant.name}-{number}-{time.monotonic_ns()}.log"
    try:
        with serving(variant, how, log) as server:
            if number == 0:
                variant.first_ready_s = server.ready_s
                if plan.test_set is not None:
                    scores = judge(variant, server, plan.test_set)
                    variant.map50_95, variant.map50 = scores.map50_95, scores.map50
            else:
                variant.rounds.append(take_round(variant, how, server))
        variant.description = variant.description or description_of(variant.name, log.read_text(errors="replace"))
    except CannotRun as error:
        variant.problem = str(error)
