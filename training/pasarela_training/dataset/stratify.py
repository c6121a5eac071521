"""Stratified choice and splitting of groups of images with several classes each. Pure and seeded.

The splitting follows the iterative stratification of Sechidis, Tsoumakas and Vlahavas, "On the Stratification of
Multi-Label Data" (ECML PKDD 2011): the rarest class is dealt out first, to the part that lacks most of it.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pasarela_training.dataset.split import split_sizes


@dataclass(frozen=True, slots=True)
class Group:
    """Images that stay together."""

    size: int
    """How many images."""
    classes: Mapping[int, int]
    """How many items of each class they have, by class."""


def stratified_parts(groups: Sequence[Group], ratios: Sequence[float], seed: int) -> list[list[int]]:
    """Deals groups out so that every part has its share of images, and of each class.

    Args:
        groups: In an order that does not depend on the machine.
        ratios: Shares of the parts.
        seed: The same seed gives the same parts.

    Returns:
        The positions of each part's groups, ascending. No part is empty.

    Raises:
        ValueError: There are fewer groups than parts.
    """
    if len(groups) < len(ratios):
        raise ValueError(f"{len(groups)} groups cannot be divided into {len(ratios)} parts")
    sizes = split_sizes(sum(group.size for group in groups), ratios)
    parts = _deal(groups, sizes, seed)
    for part in parts:
        if not part:
            giver = max(parts, key=len)
            smallest = min(giver, key=lambda index: (groups[index].size, index))
            giver.remove(smallest)
            part.append(smallest)
    return [sorted(part) for part in parts]


def proportional_choice(groups: Sequence[Group], limit: int, seed: int) -> list[int]:
    """Positions of groups with about `limit` images (exactly so many if each has one), each class in its share."""
    total = sum(group.size for group in groups)
    if limit >= total:
        return list(range(len(groups)))
    return sorted(_deal(groups, [limit, total - limit], seed)[0])


def balanced_choice(groups: Sequence[Group], limit: int, seed: int) -> list[int]:
    """Positions of groups with about `limit` images (exactly so many if each has one), the rare classes first.

    The class that the choice has fewest items of is always served next, as long as any is left.
    """
    order = _shuffled(len(groups), seed)
    totals = _totals(groups)
    waiting: dict[int, list[int]] = {one: [] for one in totals}
    for index in reversed(order):
        for one in groups[index].classes:
            waiting[one].append(index)
    chosen: set[int] = set()
    have = dict.fromkeys(totals, 0)
    heap = [(0, total, one) for one, total in totals.items()]
    heapq.heapify(heap)
    count = 0
    while heap and count < limit:
        known, total, one = heapq.heappop(heap)
        if known != have[one]:
            heapq.heappush(heap, (have[one], total, one))
            continue
        while waiting[one] and waiting[one][-1] in chosen:
            waiting[one].pop()
        if not waiting[one]:
            continue
        index = waiting[one].pop()
        chosen.add(index)
        count += groups[index].size
        for other, items in groups[index].classes.items():
            have[other] += items
        heapq.heappush(heap, (have[one], total, one))
    for index in order:
        if count >= limit:
            break
        if index not in chosen:
            chosen.add(index)
            count += groups[index].size
    return sorted(chosen)


def _deal(groups: Sequence[Group], sizes: Sequence[int], seed: int) -> list[list[int]]:
    """Groups of the rarest class first, each to the part that lacks most of that class and still has room."""
    order = _shuffled(len(groups), seed)
    totals = _totals(groups)
    images = sum(sizes)
    room = list(sizes)
    wanted = {one: [total * size / images for size in sizes] for one, total in totals.items()}
    left = dict(totals)
    holders: dict[int, list[int]] = {one: [] for one in totals}
    for index in order:
        for one in groups[index].classes:
            holders[one].append(index)
    dealt = [False] * len(groups)
    parts: list[list[int]] = [[] for _ in sizes]

    def give(index: int, need: Sequence[float]) -> None:
        group = groups[index]
        fitting = [part for part in range(len(sizes)) if 2 * room[part] >= group.size]
        if fitting:
            part = max(fitting, key=lambda part: (need[part], room[part], -part))
        else:
            part = max(range(len(sizes)), key=lambda part: (room[part], need[part], -part))
        parts[part].append(index)
        room[part] -= group.size
        dealt[index] = True
        for one, items in group.classes.items():
            wanted[one][part] -= items
            left[one] -= items

    pending = set(totals)
    while pending:
        rarest = min(pending, key=lambda one: (left[one], one))
        pending.discard(rarest)
        remaining = [index for index in holders[rarest] if not dealt[index]]
        remaining.sort(key=lambda index: -groups[index].classes[rarest])
        for index in remaining:
            give(index, wanted[rarest])
    without = [index for index in order if not dealt[index]]
    without.sort(key=lambda index: -groups[index].size)
    for index in without:
        give(index, room)
    return parts


def _totals(groups: Sequence[Group]) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for group in groups:
        counts.update(group.classes)
    return {one: counts[one] for one in sorted(counts)}


def _shuffled(count: int, seed: int) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible, not secret
    return order
