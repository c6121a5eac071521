"""The variants side by side as one file of HTML. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loadtest.benchmark.spread import Spread
from loadtest.report import text
from loadtest.report.layout import Banner, Part, Row, Section, Table, Tile, cell, row
from loadtest.report.page import render
from loadtest.variants.advice import TOLERATED_MAP, accurate, apart, choices, sentence
from loadtest.variants.results import Comparison, VariantResult, measured

TITLE: Final = "Which variant to run"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A row of the table."""

    name: str
    """A field of `Round`."""
    label: str
    decimals: int
    most: bool = False
    """Whether more of it is better."""


_QUANTITIES: Final = (
    Quantity("saturated_per_second", "images/s, busy", 1, most=True),
    Quantity("alone_p50_ms", "p50 alone, ms", 1),
    Quantity("alone_p99_ms", "p99 alone, ms", 1),
    Quantity("saturated_p50_ms", "p50 busy, ms", 1),
    Quantity("saturated_p99_ms", "p99 busy, ms", 1),
    Quantity("memory_ready_mb", "memory when ready, MB", 0),
    Quantity("memory_loaded_mb", "memory after load, MB", 0),
    Quantity("ready_s", "later starts, s", 2),
)


def render_variants(comparison: Comparison, tolerated: float = TOLERATED_MAP) -> str:
    """The page.

    Args:
        comparison: What was measured.
        tolerated: mAP50-95 that a recommended variant may lose against the best.
    """
    return render(
        "report.html.j2",
        title=TITLE,
        facts=_facts(comparison),
        banners=list(_banners(comparison, tolerated)),
        tiles=list(_tiles(comparison, tolerated)),
        tile_notes=[
            (
                f"Among the variants that lose at most {tolerated:g} mAP50-95 against the best; where rounds of "
                f"another came as near, that is said."
            )
        ],
        sections=[_table(comparison, tolerated), *_bars(comparison), _how(comparison), _conditions(comparison)],
        footer="Made by Pasarela’s load test; the same figures are in variants.json.",
    )


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    started = datetime.fromisoformat(comparison.started_at)
    rounds = max((len(one.rounds) for one in comparison.variants), default=0)
    return [
        ("repository", comparison.repository),
        ("variants", str(len(comparison.variants))),
        ("rounds", str(rounds)),
        ("a figure", text.duration(comparison.seconds)),
        ("on", f"{started:%-d %B %Y, %H:%M} UTC"),
    ]


def _banners(comparison: Comparison, tolerated: float) -> Iterator[Banner]:
    ran = measured(comparison.variants)
    word, _, rest = sentence(comparison.variants, tolerated).partition(". ")
    yield Banner("good" if ran else "bad", word if word.endswith(".") else f"{word}.", rest)
    if not comparison.complete:
        yield Banner("warn", "⚠ Cut short.", "The comparison was stopped before its end; what was measured is here.")
    for variant in comparison.variants:
        if variant.problem:
            yield Banner("warn", f"{variant.name} was left out:", variant.problem)


def _tiles(comparison: Comparison, tolerated: float) -> Iterator[Tile]:
    for number, choice in enumerate(choices(comparison.variants, tolerated)):
        yield Tile(choice.purpose.capitalize(), choice.name, noise=choice.why, found=number == 0, is_word=True)


def _table(comparison: Comparison, tolerated: float) -> Section:
    variants = comparison.variants
    pool = accurate(variants, tolerated)
    names = {one.name for one in pool}
    found = choices(variants, tolerated)
    best = found[0].name if found else ""
    heads = [f"{one.name}{' ✓' if one.name == best else ''}" for one in variants]
    rows = [
        row("served as", *(", ".join(one.serves) or text.NOTHING for one in variants)),
        row(
            "mAP50-95", *(cell(text.exact(one.map50_95, 4), css="" if one.name in names else "dim") for one in variants)
        ),
        row("mAP50", *(text.exact(one.map50, 4) for one in variants)),
        *(_row(quantity, variants, pool) for quantity in _QUANTITIES),
        row("first start, s", *(text.exact(one.first_ready_s, 2) for one in variants)),
        row("run by", *(one.problem or one.description or one.backend for one in variants)),
    ]
    head = ("", *heads)
    return Section(
        "Side by side",
        tables=[Table("Medians of the rounds, smallest and largest in brackets", head, rows, broken=True)],
        after=[
            (
                f"Alone: one client that waits for each answer. Busy: {comparison.clients} of them. Green: better in "
                f"every round than any other of the choice. Of those that lose more than {tolerated:g} mAP50-95, or do "
                f"not run here, none is chosen."
            )
        ],
    )


def _row(quantity: Quantity, variants: Sequence[VariantResult], pool: Sequence[VariantResult]) -> Row:
    def wins(variant: VariantResult) -> bool:
        others = [one for one in pool if one is not variant]
        return bool(others) and all(apart(variant, one, quantity.name, most=quantity.most) for one in others)

    cells = [
        cell(
            _spread(one.spread(quantity.name), quantity.decimals),
            css="verdict met" if one in pool and wins(one) else "",
        )
        for one in variants
    ]
    return row(quantity.label, *cells)


def _spread(spread: Spread | None, decimals: int) -> str:
    if spread is None:
        return text.NOTHING
    middle, low, high = (text.exact(value, decimals) for value in (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} ({low}–{high})"


def _bars(comparison: Comparison) -> Iterator[Section]:
    ran = measured(comparison.variants)
    if len(ran) < 2:
        return
    for title, name, unit in (
        ("Images a second, busy", "saturated_per_second", "/s"),
        ("Memory, busy", "memory_loaded_mb", "MB"),
    ):
        top = max(one.median(name) or 0.0 for one in ran) or 1.0
        parts = [
            Part(one.name, "s1", round((one.median(name) or 0.0) / top * 100, 1), text.quantity(one.median(name), unit))
            for one in ran
        ]
        yield Section(title, bars=parts)


def _how(comparison: Comparison) -> Section:
    judged = (
        f"mAP was measured through the server, over gRPC, on {comparison.judged_on}."
        if comparison.judged_images
        else "mAP was not measured."
    )
    return Section(
        "How it was measured",
        [
            (
                "Each variant got a server of its own, which held nothing else, in every round anew; odd rounds went "
                "backwards. Memory is that of all processes of the server, pages that they share counted once. The "
                "first start had an empty model cache, later ones what it had left there."
            ),
            f"{judged} Few images tell large differences of accuracy only.",
        ],
    )


def _conditions(comparison: Comparison) -> Section:
    told = {**comparison.conditions}
    packages = told.pop("packages", {})
    rows = [
        row(key.replace("_", " "), ", ".join(value) if isinstance(value, list) else str(value))
        for key, value in told.items()
        if value not in ("", [], None)
    ]
    rows += [row(name, str(version)) for name, version in packages.items()]
    shares = [one.median("client_cores") for one in measured(comparison.variants)]
    known = [share for share in shares if share is not None]
    if known:
        rows.append(row("cores that the clients took, busy", f"{min(known):.2f} to {max(known):.2f}"))
    return Section("Conditions", tables=[Table("Machine and software", ("what", "as it was"), rows, frozenset({1}))])
