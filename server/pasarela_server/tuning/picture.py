"""Latency against throughput as a picture: SVG, written as text. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pasarela_server.tuning.measurement import Point
from pasarela_server.tuning.operating import frontier

_WIDTH, _HEIGHT = 860, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 44, 56
_LINE = 18
"""Height of a line of the legend."""
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#72b7b2", "#9d755d", "#e45756", "#eeca3b")
_GREY = "#888"
_STEPS = (1, 2, 5)
_LEAST_MS = 0.001
"""A logarithm knows no 0."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What one candidate does under growing load."""

    name: str
    points: Sequence[Point]
    is_baseline: bool = False
    is_choice: bool = False


def draw(title: str, curves: Sequence[Curve], unit: str, target_ms: float | None = None) -> str:
    """Draws a line for each candidate, from the lightest load to the heaviest; rings around what nothing else beats.

    Args:
        title: Above the picture.
        curves: At least one with a point.
        unit: What is counted: images or requests.
        target_ms: A line at this latency, if there is one.
    """
    found = [point for curve in curves for point in curve.points if math.isfinite(point.p99_ms)]
    scale = _scale(found, target_ms)
    height = _HEIGHT + _LINE * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
        *_axes(scale, unit),
    ]
    if target_ms is not None:
        y = scale.y(target_ms)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, "#c00", dashed=True))
        parts.append(_text(_WIDTH - _RIGHT, y - 4, f"target {target_ms:g} ms", "end", "#c00"))
    for number, curve in enumerate(curves):
        parts += _curve(curve, _COLOURS[number % len(_COLOURS)], scale)
        parts += _legend(curve, _COLOURS[number % len(_COLOURS)], _HEIGHT + _LINE * number)
    for point in frontier(found):
        x, y = scale.x(point.throughput), scale.y(point.p99_ms)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{_GREY}"/>')
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Scale:
    """From figures to places: throughput evenly, latency by its logarithm."""

    most: float
    low_ms: float
    high_ms: float

    def x(self, throughput: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * throughput / self.most

    def y(self, latency_ms: float) -> float:
        share = math.log(max(latency_ms, _LEAST_MS) / self.low_ms) / math.log(self.high_ms / self.low_ms)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _scale(found: Sequence[Point], target_ms: float | None) -> _Scale:
    latencies = [max(point.p99_ms, _LEAST_MS) for point in found] + ([] if target_ms is None else [target_ms])
    low, high = min(latencies, default=1.0), max(latencies, default=10.0)
    most = max((point.throughput for point in found), default=0.0)
    return _Scale(1.08 * most or 1.0, low / 1.3, high * 1.3)


def _axes(scale: _Scale, unit: str) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [_line(_LEFT, bottom, right, bottom, "#000"), _line(_LEFT, _TOP, _LEFT, bottom, "#000")]
    for value in _even_ticks(scale.most):
        x = scale.x(value)
        parts += [_line(x, bottom, x, _TOP, "#eee"), _text(x, bottom + 16, f"{value:g}", "middle")]
    for value in _logarithmic_ticks(scale.low_ms, scale.high_ms):
        y = scale.y(value)
        parts += [_line(_LEFT, y, right, y, "#eee"), _text(_LEFT - 6, y + 4, f"{value:g}", "end")]
    parts.append(_text((_LEFT + right) / 2, bottom + 36, f"{unit} a second", "middle"))
    parts.append(
        f'<text transform="translate(18 {(_TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">'
        "latency, p99, ms (a number at a point: clients)</text>"
    )
    return parts


def _even_ticks(most: float) -> list[float]:
    rough = most / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (*_STEPS, 10) if power * each >= rough)
    return [step * number for number in range(int(most / step) + 1)]


def _logarithmic_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [each for power in powers for step in _STEPS if low <= (each := step * 10.0**power) <= high]


def _curve(curve: Curve, colour: str, scale: _Scale) -> list[str]:
    places = [
        (scale.x(point.throughput), scale.y(point.p99_ms), point)
        for point in curve.points
        if math.isfinite(point.p99_ms)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    width = 3 if curve.is_choice else 1.5
    dashes = ' stroke-dasharray="6 4"' if curve.is_baseline else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>']
    for x, y, point in places:
        said = f"{curve.name}: {point.clients} clients, {point.throughput:.1f} a second, p99 {point.p99_ms:.1f} ms"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if curve.is_choice else 3}" fill="{colour}">'
            f"<title>{escape(said)}</title></circle>"
        )
        parts.append(_text(x + 6, y + 12, str(point.clients), "start", colour, size=9))
    return parts


def _legend(curve: Curve, colour: str, y: float) -> list[str]:
    dashes = curve.is_baseline
    name = f"{curve.name} – the choice" if curve.is_choice else curve.name
    return [_line(_LEFT, y - 4, _LEFT + 28, y - 4, colour, dashed=dashes, width=3), _text(_LEFT + 36, y, name, "start")]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False, width: float = 1) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"{dashes}/>'
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#000", *, size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{escape(text)}</text>'
    )
