"""What a page is made of: banners, tiles, tables and sections. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from loadtest.report.charts.drawing import Chart

Tone = Literal["good", "bad", "warn", "none"]


@dataclass(frozen=True, slots=True)
class Banner:
    """One sentence that nobody should miss."""

    css: Tone
    word: str
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, large."""

    name: str
    value: str
    unit: str = ""
    noise: str = ""
    """How far it can be trusted."""
    change: str = ""
    """From an earlier run."""
    css: str = ""
    """better, worse or moved, where the change is beyond the noise."""
    found: bool = False
    """Whether the run was made to find it."""
    is_word: bool = False
    """Whether its value is a name and no number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table."""

    text: str
    sort: float | None = None
    """What its column is sorted by, if not by its text."""
    css: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; its first cell names it."""

    cells: Sequence[Cell]
    css: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    words: frozenset[int] = frozenset()
    """Columns of sentences: they stand left and may be broken."""
    broken: bool = False
    """Whether every cell may be broken: a column is one thing, with figures and words below each other."""


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of a limit was used."""

    percent: float
    text: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a bar that is made of several."""

    label: str
    colour: str
    percent: float
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a title; shown in the order of its fields."""

    title: str
    sentences: Sequence[str] = ()
    dim: bool = False
    meter: Meter | None = None
    stack_label: str = ""
    stack: Sequence[Part] = ()
    bars: Sequence[Part] = ()
    """A bar for each, one below the other."""
    charts: Sequence[Chart] = ()
    single: bool = False
    """Whether each chart takes the whole width."""
    lead: bool = False
    """Whether the first chart does."""
    tables: Sequence[Table] = ()
    listing_title: str = ""
    listing: str = ""
    """Text as it is, folded away."""
    after: Sequence[str] = field(default=())


def cell(text: str, sort: float | None = None, css: str = "") -> Cell:
    """A cell; shorter to write."""
    return Cell(text, sort, css)


def row(*cells: Cell | str, css: str = "") -> Row:
    """A row of cells and plain texts."""
    return Row([one if isinstance(one, Cell) else Cell(one) for one in cells], css)
