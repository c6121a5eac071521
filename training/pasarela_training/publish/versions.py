"""Which version number a publication gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping

Sums = Mapping[str, str]
"""SHA-256 of each file of a version, by file name."""


def next_version(existing: Mapping[str, Mapping[int, Sums]], new: Mapping[str, Sums]) -> int:
    """The number for a publication of all variants together.

    If the highest version holds nothing but what is to be published, it is that one: a run that is repeated publishes
    nothing new, and one that was interrupted between two variants is completed. Otherwise it is one more.

    Args:
        existing: By model name: the sums of each version in the repository.
        new: By model name: the sums of what is to be published.
    """
    highest = max((version for name in new for version in existing.get(name, {})), default=0)
    if highest == 0:
        return 1
    same = all(existing.get(name, {}).get(highest) in (None, dict(sums)) for name, sums in new.items())
    return highest if same else highest + 1
