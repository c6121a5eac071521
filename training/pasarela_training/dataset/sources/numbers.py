"""Numbers out of documents that may hold anything: they come out finite, or the reason why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import orjson

ATTRIBUTES = {"scale": 3, "occlusion": 3, "zoom_in": 3, "viewpoint": 3}
"""DeepFashion2's attributes of an item, each from 1 to this."""
_DIGITS = b"0123456789.,-+eE"
LARGEST_ID = 2**53
"""Whole numbers up to here survive every reader of JSON."""


class BadValue(ValueError):
    """An item cannot be used; the message says why, `kind` is one of `records.FAULT_KINDS`."""

    def __init__(self, message: str, kind: str = "bad value") -> None:
        super().__init__(message)
        self.kind = kind


def is_integer(value: object) -> bool:
    """True for whole numbers; JSON's true and false are none."""
    return type(value) is int


def shown(value: object) -> str:
    """A value as a message shows it: no longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def finite(value: object) -> float:
    """A number as a float.

    Raises:
        BadValue: It is no number (text counts as none), not finite, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadValue(f"expected a number, found {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise BadValue("expected finite numbers, found one that is too large") from None
    if not math.isfinite(number):
        raise BadValue(f"expected finite numbers, found {value!r}")
    return number


def finite_list(values: Sequence[object]) -> list[float]:
    """Numbers as floats; the same as `finite` of each, and faster.

    Raises:
        BadValue: One is no number, not finite, or too large.
    """
    try:
        written = orjson.dumps(values)  # truth values, text, lists and what is not finite leave more than digits
    except TypeError:
        written = b""
    if written.translate(None, _DIGITS) == b"[]":
        return list(map(float, cast("Sequence[float]", values)))
    return [finite(value) for value in values]


def four_numbers(name: str, value: object, expected: str) -> tuple[float, float, float, float]:
    """A box as a document has it.

    Raises:
        BadValue: It is no list of four finite numbers.
    """
    if not isinstance(value, list) or len(value) != 4:
        raise BadValue(f"{name} is {shown(value)}, expected {expected}")
    try:
        first, second, third, fourth = finite_list(value)
    except BadValue as error:
        raise BadValue(f"{name} is {shown(value)}, {error}") from None
    return first, second, third, fourth


def read_landmarks(value: object, count: int) -> tuple[list[float], list[str]]:
    """Landmarks, whether they come as x, y, v, x, y, v, … or as [x, y, v] each.

    Args:
        value: What the document has.
        count: How many there should be; 0 if unknown.

    Returns:
        x, y, visibility for each, or nothing together with the reason why.
    """
    if value is None:
        return [], []
    if not isinstance(value, (list, tuple)):
        return [], [f"landmarks is {shown(value)}, expected a list; it was left out"]
    try:
        if list in set(map(type, value)):
            value = [number for part in value for number in (part if isinstance(part, list) else (part,))]
        flat = finite_list(value)
    except BadValue as error:
        return [], [f"landmarks: {error}; they were left out"]
    if not flat:
        return [], []
    if len(flat) % 3 or (count and len(flat) != 3 * count):
        expected = str(3 * count) if count else "three for each"
        return [], [f"landmarks has {len(flat)} numbers, expected {expected}; they were left out"]
    return flat, []


def read_polygons(value: object) -> tuple[list[list[float]], list[str]]:
    """Polygons of at least three points, and what was wrong with the others."""
    if value is None:
        return [], []
    if not isinstance(value, (list, tuple)):
        return [], [f"segmentation is {shown(value)}, expected a list of polygons; it was left out"]
    usable: list[list[float]] = []
    reasons: list[str] = []
    for polygon in value:
        if not isinstance(polygon, list):
            reasons.append("segmentation has something that is no polygon; it was left out")
            continue
        try:
            numbers = finite_list(polygon)
        except BadValue as error:
            reasons.append(f"segmentation: {error}; the polygon was left out")
            continue
        if len(numbers) >= 6 and len(numbers) % 2 == 0:
            usable.append(numbers)
        else:
            reasons.append("segmentation has a polygon of fewer than three points; it was left out")
    return usable, list(dict.fromkeys(reasons))


def read_attributes(content: dict[str, Any]) -> tuple[dict[str, int], list[str]]:
    """DeepFashion2's attributes as far as they are usable, and what was wrong with the others."""
    attributes: dict[str, int] = {}
    reasons: list[str] = []
    for name, most in ATTRIBUTES.items():
        if name not in content:
            continue
        value = content[name]
        if is_integer(value) and 1 <= value <= most:
            attributes[name] = value
        else:
            reasons.append(f"{name} is {shown(value)}, expected 1 to {most}; it was left out")
    return attributes, reasons
