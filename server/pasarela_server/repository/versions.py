"""Which versions should be loaded, of those on disk. Pure."""

from __future__ import annotations

from collections.abc import Collection

from pasarela_server.config.model import AllVersions, Latest, Specific, VersionPolicy
from pasarela_server.errors import InvalidModel


def choose_versions(on_disk: Collection[int], policy: VersionPolicy) -> tuple[int, ...]:
    """The versions to load, lowest first.

    Raises:
        InvalidModel: None would be left, or a specific version is not there.
    """
    if not on_disk:
        raise InvalidModel("there is no version; put the model file into a folder named 1 in the model's folder")
    match policy:
        case AllVersions():
            return tuple(sorted(on_disk))
        case Latest(count):
            return tuple(sorted(on_disk)[-count:])
        case Specific(versions):
            missing = sorted(versions - set(on_disk))
            if missing:
                raise InvalidModel(
                    f"version_policy.specific names {_list(missing)}, but there is only {_list(sorted(on_disk))}"
                )
            return tuple(sorted(versions))


def _list(versions: Collection[int]) -> str:
    return ", ".join(map(str, versions))
