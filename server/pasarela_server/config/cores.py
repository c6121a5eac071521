"""How many cores this process may really use: its affinity and the limits of its control groups."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores(affinity: int, quotas: Iterable[float]) -> int:
    """Cores to plan with, of what the scheduler allows and what control groups grant.

    Args:
        affinity: Cores that the process may be scheduled on.
        quotas: CPU time per wall time of each control group around the process, in cores.

    Returns:
        The smallest of them, rounded up to whole cores; at least 1.
    """
    return max(1, min([affinity, *(math.ceil(quota) for quota in quotas)]))


def read_quota(cpu_max: str) -> float | None:
    """Reads a control group's `cpu.max` (`"150000 100000"`, or `"max 100000"`): cores, or None for no limit."""
    quota, _, period = cpu_max.strip().partition(" ")
    try:
        cores = float(quota) / float(period or 100_000)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def available_cores(cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> int:
    """Cores available to this process now, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return usable_cores(affinity, _quotas(cgroups, own_cgroup))


def _quotas(cgroups: Path, own_cgroup: Path) -> list[float]:
    quotas: list[float] = []
    for text in _limits(cgroups, own_cgroup):
        quota = read_quota(text)
        if quota is not None:
            quotas.append(quota)
    return quotas


def _limits(cgroups: Path, own_cgroup: Path) -> list[str]:
    """The texts of the limits from the process's own control group up to the root, in `cpu.max` form."""
    own = PurePosixPath("/")
    for line in _read(own_cgroup).splitlines():
        if line.startswith("0::"):
            own = PurePosixPath(line.removeprefix("0::"))
    folders = [cgroups / part.relative_to("/") for part in (own, *own.parents) if part.is_absolute()]
    texts = [_read(folder / "cpu.max") for folder in folders]
    texts += [
        _read(version_1 / "cpu.cfs_quota_us") + " " + _read(version_1 / "cpu.cfs_period_us")
        for version_1 in (cgroups / "cpu", cgroups / "cpu,cpuacct")
    ]
    return [" ".join(text.split()) for text in texts if text.strip()]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
