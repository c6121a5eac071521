"""Changes that a person makes to the versions of a model on disk: labels, and taking a version back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pasarela_server.errors import InvalidModel, ServingError
from pasarela_server.repository.desired import DesiredModel, desire
from pasarela_server.repository.fingerprint import Digests, mark_files
from pasarela_server.repository.manifest import find_fault, read_checksums
from pasarela_server.repository.scan import ModelOnDisk, scan
from pasarela_server.repository.version_labels import move, present, read_history, step_back, write_history
from pasarela_server.repository.versions import Standing, plan_versions

WITHDRAWN = ".withdrawn"
"""Appended to the folder's name of a version that was taken back: it is no version any more, and nothing is lost."""


@dataclass(frozen=True, slots=True)
class VersionLine:
    """What there is to say of one version."""

    version: int
    labels: tuple[str, ...]
    wanted: bool
    """Whether the version policy, or a label, asks for it."""
    fault: str | None
    """Why it is not whole."""


def describe_versions(root: Path, model: str) -> tuple[VersionLine, ...]:
    """The versions of a model on disk, lowest first.

    Raises:
        InvalidModel: There is no such model, or it cannot be read.
    """
    desired = desire(find_model(root, model))
    faults = {number: _fault(folder) for number, folder in desired.versions.items()}
    standing = {number: Standing.NEW if fault is None else Standing.FAILED for number, fault in faults.items()}
    wanted = plan_versions(standing, desired.policy, desired.labels.values()).keep
    return tuple(
        VersionLine(
            number,
            tuple(sorted(label for label, named in desired.labels.items() if named == number)),
            number in wanted,
            faults[number],
        )
        for number in sorted(desired.versions)
    )


def set_labels(root: Path, model: str, wanted: Mapping[str, int | None]) -> Mapping[str, int]:
    """Gives labels to versions, or takes them away.

    Args:
        root: The repository.
        model: The model's name.
        wanted: By label, the version that it is to name; None takes the label away.

    Returns:
        All labels of the model now.

    Raises:
        InvalidModel: There is no such model or version, or its file of labels cannot be read.
    """
    desired = desire(find_model(root, model))
    history = read_history(desired.folder)
    for label, version in wanted.items():
        if version is None:
            history = {other: versions for other, versions in history.items() if other != label}
            continue
        _require_version(desired, version)
        history = move(history, label, version)
    write_history(desired.folder, history)
    return present(history)


def roll_back_label(root: Path, model: str, label: str) -> tuple[int, int]:
    """Gives a label back to the version that it named before.

    Returns:
        The version that it named, and the one that it names now.

    Raises:
        InvalidModel: There is no such model or label, no earlier version, or that one is not there any more.
    """
    desired = desire(find_model(root, model))
    history = read_history(desired.folder)
    try:
        back = step_back(history, label)
    except InvalidModel as error:
        raise InvalidModel(f"model {model!r}: {error}") from error
    _require_version(desired, present(back)[label])
    write_history(desired.folder, back)
    return present(history)[label], present(back)[label]


def withdraw_highest(root: Path, model: str) -> tuple[int, int, Path]:
    """Takes the highest version of a model back: its folder gets a name that is no version's. Its labels go back too.

    Returns:
        The version that was withdrawn, the highest that is left, and the withdrawn folder.

    Raises:
        InvalidModel: There is no such model, there is no version to go back to, or a label would be left without one.
        OSError: The folder cannot be renamed.
    """
    desired = desire(find_model(root, model))
    numbers = sorted(desired.versions)
    if len(numbers) < 2:
        only = f"version {numbers[0]} only" if numbers else "no version"
        raise InvalidModel(f"model {model!r} has {only}: there is none to go back to")
    gone, left = numbers[-1], numbers[-2]
    history = read_history(desired.folder)
    for label, named in present(history).items():
        if named == gone:
            try:
                history = step_back(history, label, without={gone})
            except InvalidModel:
                history = move({**history, label: ()}, label, left)
    target = desired.versions[gone].with_name(f"{gone}{WITHDRAWN}")
    if target.exists():
        raise InvalidModel(f"model {model!r}: {target.name} is there already; remove it or give it another name")
    if history != read_history(desired.folder):
        write_history(desired.folder, history)
    desired.versions[gone].rename(target)
    return gone, left, target


def find_model(root: Path, model: str) -> ModelOnDisk:
    """One model of a repository.

    Raises:
        InvalidModel: There is none of that name, or the repository cannot be read.
    """
    found = {each.name: each for each in scan(root)}
    if model not in found:
        raise InvalidModel(f"there is no model {model!r} in {str(root)!r}; there are {', '.join(sorted(found))}")
    return found[model]


def _require_version(desired: DesiredModel, version: int) -> None:
    if version not in desired.versions:
        known = ", ".join(map(str, sorted(desired.versions))) or "none"
        raise InvalidModel(f"model {desired.name!r} has no version {version} on disk; it has {known}")


def _fault(folder: Path) -> str | None:
    try:
        return find_fault(read_checksums(folder), Digests().of(folder, mark_files(folder)))
    except (OSError, ServingError) as error:
        return str(error)
