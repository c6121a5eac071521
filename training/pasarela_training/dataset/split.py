"""Splitting: which images go to train, val and test. Pure and seeded."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from typing import TypeVar

SPLITS = ("train", "val", "test")

T = TypeVar("T")


def split_sizes(total: int, ratios: Sequence[float]) -> list[int]:
    """Divides a number by ratios with the largest remainders, giving every part at least one.

    Raises:
        ValueError: There are fewer than there are parts.
    """
    if total < len(ratios):
        raise ValueError(f"{total} cannot be divided into {len(ratios)} parts")
    whole = sum(ratios)
    shares = [total * ratio / whole for ratio in ratios]
    sizes = [int(share) for share in shares]
    by_remainder = sorted(range(len(ratios)), key=lambda part: (sizes[part] - shares[part], part))
    for part in by_remainder[: total - sum(sizes)]:
        sizes[part] += 1
    for part, size in enumerate(sizes):
        if size == 0:
            sizes[max(range(len(sizes)), key=sizes.__getitem__)] -= 1
            sizes[part] = 1
    return sizes


def split_shuffled(
    elements: Sequence[T], groups: Sequence[Hashable], ratios: Sequence[float], seed: int, limit: int | None = None
) -> list[list[T]]:
    """Shuffles groups of elements and deals them out by ratios; a group is never divided.

    Args:
        elements: What is split, in an order that does not depend on the machine.
        groups: The group of each element; all different means that each element goes its own way.
        ratios: Shares of the parts.
        seed: The same seed gives the same parts.
        limit: Take about so many elements (exactly so many if every group has one).

    Returns:
        The elements of each part, sorted as they came.

    Raises:
        ValueError: There are too few elements or groups for every part to have one.
    """
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    order = list(members.values())
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible, not secret
    if limit is not None:
        order = _at_most(order, limit)
    total = sum(len(group) for group in order)
    if len(order) < len(ratios):
        raise ValueError(f"{len(order)} groups cannot be divided into {len(ratios)} parts")
    parts: list[list[int]] = []
    remaining = iter(order)
    left = len(order)
    for position, size in enumerate(split_sizes(total, ratios)):
        part: list[int] = []
        later = len(ratios) - position - 1
        while left > later and (len(part) < size or later == 0):
            part.extend(next(remaining))
            left -= 1
        parts.append(part)
    return [[elements[index] for index in sorted(part)] for part in parts]


def _at_most(order: list[list[int]], limit: int) -> list[list[int]]:
    taken: list[list[int]] = []
    count = 0
    for group in order:
        if count >= limit:
            break
        taken.append(group)
        count += len(group)
    return taken
