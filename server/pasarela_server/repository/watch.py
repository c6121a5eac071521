"""Looks at a repository again and again: what has settled and with which content, what is still being written."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pasarela_server.repository.fingerprint import Digests, Marks, combine, mark_files, newest_s
from pasarela_server.repository.manifest import MANIFEST_FILE, find_fault, read_checksums
from pasarela_server.repository.scan import CONFIG_FILE, ModelOnDisk
from pasarela_server.repository.settle import Sight, remaining_s, see
from pasarela_server.repository.version_labels import LABELS_FILE

SETTLING = "its files have just changed; it is taken when they have stayed the same for a while"
"""Why a version waits of which nothing is wrong."""

_WARMUP_FOLDER = "warmup"
_FOR_PEOPLE = (".md",)
"""Files beside config.pbtxt that no model reads."""


@dataclass(frozen=True, slots=True)
class Look:
    """One model as it looks now."""

    name: str
    found: ModelOnDisk | None
    """None if its folder is not there."""
    content: Mapping[int, str] = field(default_factory=dict)
    """Of each version that has settled and is whole: a text that changes if, and only if, its content does. Version 0
    stands for a model without version folders."""
    waiting: Mapping[int, str] = field(default_factory=dict)
    """Versions that are there and do not count yet, and why."""
    lingering: frozenset[int] = frozenset()
    """Versions that have vanished so recently that they may come back: as when one is copied over another."""
    recent: bool = False
    """True if the folder itself has vanished so recently that it may come back."""


class Watcher:
    """Remembers what it saw. For one thread at a time."""

    def __init__(
        self,
        settle_s: float = 0.0,
        *,
        identify: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Builds the watcher.

        Args:
            settle_s: How long a version must have stayed the same before it counts.
            identify: False if nobody will look a second time: then only files that a manifest lists are read.
            clock: A monotonic clock in seconds.
            wall_clock: The clock that file systems stamp files with.
        """
        self._settle_s = settle_s
        self._identify = identify
        self._clock = clock
        self._wall_clock = wall_clock
        self._digests = Digests()
        self._sights: dict[str, dict[int | None, Sight]] = {}
        self._next_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """In how many seconds the first of what waits may have settled, as of the last look; None if nothing waits."""
        return self._next_s

    def look(self, found: Sequence[ModelOnDisk]) -> tuple[Look, ...]:
        """Compares what is found now with what was seen before.

        Args:
            found: All models of the repository; those that were there before and are not listed have vanished.
        """
        self._next_s = None
        present = {model.name for model in found}
        looks = [self._look_at(model) for model in found]
        looks += [self._miss(name) for name in sorted(self._sights.keys() - present)]
        self._digests.forget_others()
        return tuple(looks)

    def look_at(self, model: ModelOnDisk) -> Look:
        """Looks at one model only."""
        self._next_s = None
        return self._look_at(model)

    def _look_at(self, model: ModelOnDisk) -> Look:
        sights = self._sights.setdefault(model.name, {})
        sights.pop(None, None)
        beside = _marks_beside(model.folder)
        content: dict[int, str] = {}
        waiting: dict[int, str] = {}
        # A detection model has no files but its configuration: it stands here as version 0.
        versions: Mapping[int, Path | None] = model.versions or {0: None}
        for number, folder in versions.items():
            marks = () if folder is None else mark_files(folder)
            age_s = self._wall_clock() - newest_s((*marks, *beside))
            if not self._settled(sights, number, (model.config_text, beside, marks), age_s):
                waiting[number] = SETTLING
                continue
            fault, identity = self._read(model, folder, beside, marks)
            if fault is None:
                content[number] = identity
            else:
                waiting[number] = fault
        elsewhere = [number for number in sights if number and number not in model.versions]
        lingering = [number for number in elsewhere if not self._gone(sights, number)]
        return Look(model.name, model, content, waiting, frozenset(lingering))

    def _read(self, model: ModelOnDisk, folder: Path | None, beside: Marks, marks: Marks) -> tuple[str | None, str]:
        """What is wrong with a version that has settled, and its identity."""
        checksums = None if folder is None else read_checksums(folder)
        listed = checksums if isinstance(checksums, Mapping) else {}
        wanted = tuple(mark for mark in marks if self._identify or mark.name in listed)
        try:
            digests = {} if folder is None else self._digests.of(folder, wanted)
            identity = combine(model.config_text or "", self._digests.of(model.folder, beside), digests)
        except OSError as error:
            return f"its files cannot be read: {error.strerror}", ""
        fault = find_fault(checksums, {name: digest for name, digest in digests.items() if name != MANIFEST_FILE})
        return fault, identity

    def _miss(self, name: str) -> Look:
        sights = self._sights[name]
        if self._gone(sights, None):
            self._sights.pop(name)
            return Look(name, None)
        return Look(name, None, recent=True)

    def _settled(self, sights: dict[int | None, Sight], number: int, look: Hashable, age_s: float) -> bool:
        now_s = self._clock()
        sights[number] = see(sights.get(number), look, now_s, age_s)
        return self._wait(remaining_s(sights[number], now_s, self._settle_s))

    def _gone(self, sights: dict[int | None, Sight], number: int | None) -> bool:
        now_s = self._clock()
        before = sights.get(number) or Sight("there", now_s)
        sights[number] = see(before, None, now_s)
        settled = self._wait(remaining_s(sights[number], now_s, self._settle_s))
        if settled:
            sights.pop(number)
        return settled

    def _wait(self, seconds: float) -> bool:
        if seconds > 0 and (self._next_s is None or seconds < self._next_s):
            self._next_s = seconds
        return seconds <= 0


def _marks_beside(folder: Path) -> Marks:
    """Marks of what lies beside the versions and is read at load: labels, files for the warm-up."""
    try:
        names = [
            entry.name
            for entry in folder.iterdir()
            if entry.is_file()
            and entry.name not in (CONFIG_FILE, LABELS_FILE)
            and not entry.name.startswith(".")
            and entry.suffix not in _FOR_PEOPLE
        ]
    except OSError:
        return ()
    warmup = folder / _WARMUP_FOLDER
    names += [f"{_WARMUP_FOLDER}/{mark.name}" for mark in mark_files(warmup)] if warmup.is_dir() else []
    return mark_files(folder, names)
