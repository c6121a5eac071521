"""From values to what a page draws: paths in a square, and the words beside it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from loadtest.report.charts.axis import SIDE, Axis

T = TypeVar("T")
Look = Literal["line", "area", "points", "bars"]


@dataclass(frozen=True, slots=True)
class Series:
    """Values that belong together."""

    label: str
    colour: str
    """A class of the page's style, as `s1`."""
    values: Sequence[float | None]
    look: Look = "line"


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across a chart at one value, with a word."""

    value: float
    label: str
    upright: bool = False
    """At a value of the x axis; else of the y axis."""
    flipped: bool = False
    """Whether the word stands before the line."""


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the x axis that is shaded."""

    begins: float
    ends: float
    label: str


@dataclass(frozen=True, slots=True)
class Path:
    """What one series looks like."""

    colour: str
    look: Look
    d: str
    """An SVG path in a square of `SIDE`."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A mark or a band with its place, in parts of 1 from the left or the bottom."""

    at: float
    to: float
    label: str
    upright: bool
    flipped: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the page needs for one chart."""

    title: str
    x: Axis
    y: Axis
    paths: tuple[Path, ...]
    legend: tuple[tuple[str, str], ...]
    """Colour and label, if there is more than one."""
    table_head: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    """The same values for who cannot see it, and for the pointer: a row for each position on the x axis."""
    positions: tuple[float, ...]
    """Of the rows, along the x axis."""
    marks: tuple[Placed, ...] = ()
    bands: tuple[Placed, ...] = ()
    x_label: str = ""


def path_of(series: Series, xs: Sequence[float], x: Axis, y: Axis) -> Path:
    """A line, points, or for `area` the ground under it; it is interrupted where there is no value.

    Args:
        series: Its values.
        xs: Where they lie on the x axis.
        x: The axis along the bottom.
        y: The axis along the side.
    """
    pieces: list[str] = []
    for run in _runs(xs, series.values):
        points = [(x.at(at) * SIDE, (1 - y.at(value)) * SIDE) for at, value in run]
        if series.look == "points":
            pieces += [f"M{_n(a)} {_n(b)}h0" for a, b in points]
        elif len(points) == 1 and series.look == "line":
            pieces.append(f"M{_n(points[0][0])} {_n(points[0][1])}h0")
        else:
            line = "L".join(f"{_n(a)} {_n(b)}" for a, b in points)
            ends = f"L{_n(points[-1][0])} {_n(SIDE)}L{_n(points[0][0])} {_n(SIDE)}Z" if series.look == "area" else ""
            pieces.append(f"M{line}{ends}")
    return Path(series.colour, series.look, "".join(pieces))


def stacked(series: Sequence[Series], xs: Sequence[float], x: Axis, y: Axis) -> list[Path]:
    """Areas upon each other, the first at the bottom; a gap where any of them has no value."""
    base = [0.0] * len(xs)
    paths = []
    for one in series:
        top = [
            None if value is None or below is None else below + value
            for value, below in zip(one.values, base, strict=True)
        ]
        pieces = []
        for run in _runs(xs, [None if t is None else (b, t) for t, b in zip(top, base, strict=True)]):
            upper = [f"{_n(x.at(at) * SIDE)} {_n((1 - y.at(value[1])) * SIDE)}" for at, value in run]
            lower = [f"{_n(x.at(at) * SIDE)} {_n((1 - y.at(value[0])) * SIDE)}" for at, value in reversed(run)]
            pieces.append(f"M{'L'.join([*upper, *lower])}Z")
        paths.append(Path(one.colour, "area", "".join(pieces)))
        base = [below if value is None else value for value, below in zip(top, base, strict=True)]
    return paths


def bars(heights: Sequence[float], edges: Sequence[tuple[float, float]], x: Axis, y: Axis, colour: str) -> Path:
    """Upright bars from each pair of edges on the x axis, with a hair of air between them."""
    pieces = []
    for height, (left, right) in zip(heights, edges, strict=True):
        a, b, top = x.at(left) * SIDE, x.at(right) * SIDE, (1 - y.at(height)) * SIDE
        air = min(1.0, (b - a) * 0.1)
        if height > 0:
            pieces.append(f"M{_n(a + air)} {_n(SIDE)}V{_n(top)}H{_n(b - air)}V{_n(SIDE)}Z")
    return Path(colour, "bars", "".join(pieces))


def placed_marks(marks: Iterable[Mark], x: Axis, y: Axis) -> tuple[Placed, ...]:
    """Marks whose value is on their axis."""
    found = []
    for mark in marks:
        axis = x if mark.upright else y
        if axis.low <= mark.value <= axis.high:
            at = axis.at(mark.value)
            found.append(Placed(at, at, mark.label, mark.upright, mark.flipped))
    return tuple(found)


def placed_bands(bands: Iterable[Band], x: Axis) -> tuple[Placed, ...]:
    """Bands as far as they are on the axis."""
    return tuple(
        Placed(x.at(band.begins), x.at(band.ends), band.label, upright=True)
        for band in bands
        if band.ends > x.low and band.begins < x.high
    )


def drawn(*charts: Chart | None) -> list[Chart]:
    """Those that there are."""
    return [chart for chart in charts if chart is not None]


def _runs(xs: Sequence[float], values: Sequence[T | None]) -> Iterable[list[tuple[float, T]]]:
    run: list[tuple[float, T]] = []
    for at, value in zip(xs, values, strict=True):
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
