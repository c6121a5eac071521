"""Which versions should be loaded, of those on disk, and which may go. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pasarela_server.config.model import AllVersions, Latest, Specific, VersionPolicy
from pasarela_server.errors import InvalidModel


class Standing(enum.Enum):
    """How a version that lies on disk stands."""

    NEW = "new"
    """What lies there has not been tried yet."""
    READY = "ready"
    """It answers; or an earlier content of it does, and what lies there now cannot be loaded."""
    FAILED = "failed"
    """What lies there cannot be loaded, and nothing of it answers."""


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """The next step towards what should be."""

    load: tuple[int, ...]
    """To try now, lowest first. When that is done, plan again."""
    keep: frozenset[int]
    """What should answer in the end, as far as is known now."""


NO_VERSION = "there is no version; put the model file into a folder named 1 in the model's folder"


def check_versions(on_disk: Collection[int], policy: VersionPolicy) -> None:
    """Checks that the versions which a policy names are there.

    Raises:
        InvalidModel: One is not.
    """
    if on_disk and isinstance(policy, Specific):
        missing = sorted(policy.versions - set(on_disk))
        if missing:
            raise InvalidModel(
                f"version_policy.specific names {_list(missing)}, but there is only {_list(sorted(on_disk))}"
            )


def plan_versions(
    standing: Mapping[int, Standing], policy: VersionPolicy, labelled: Collection[int] = ()
) -> VersionPlan:
    """Plans the next step of one model.

    With a `latest` policy a version that cannot be loaded counts for nothing: the next older one takes its place.

    Args:
        standing: Of each version on disk.
        policy: The model's.
        labelled: Versions that a label names; they are wanted whatever the policy says.
    """
    match policy:
        case AllVersions():
            chosen = set(standing)
        case Latest(count):
            usable = sorted(number for number, stands in standing.items() if stands is not Standing.FAILED)
            chosen = set(usable[-count:])
        case Specific(versions):
            chosen = set(versions & standing.keys())
    wanted = chosen | (set(labelled) & standing.keys())
    load = tuple(sorted(number for number in wanted if standing[number] is Standing.NEW))
    return VersionPlan(load, frozenset(number for number in wanted if standing[number] is not Standing.FAILED))


def versions_to_retire(answering: Collection[int], keep: Collection[int], on_disk: Collection[int]) -> frozenset[int]:
    """Which of the versions that answer may go, now that there is nothing more to load.

    Args:
        answering: Versions in memory that are READY.
        keep: What should answer.
        on_disk: All versions that lie there, those included that are still being written.

    Returns:
        None at all while nothing that should answer does, although something lies on disk: what works stays until
        something else works in its place.
    """
    works = set(answering) & set(keep)
    return frozenset() if on_disk and not works else frozenset(answering) - frozenset(keep)


def _list(versions: Collection[int]) -> str:
    return ", ".join(map(str, versions))
