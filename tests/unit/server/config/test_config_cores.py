"""Cores: the smallest of what the scheduler allows and what control groups grant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pasarela_server.config.cores import available_cores, read_quota, usable_cores


@pytest.mark.parametrize(
    ("affinity", "quotas", "expected"),
    [
        pytest.param(8, [], 8, id="no limit"),
        pytest.param(8, [2.0], 2, id="a container of two cores on a large machine"),
        pytest.param(8, [1.5], 2, id="half a core counts as one: rounding down would leave it idle"),
        pytest.param(2, [16.0], 2, id="a quota above the affinity grants nothing"),
        pytest.param(8, [6.0, 3.0, 4.0], 3, id="the narrowest of the groups around it"),
        pytest.param(8, [0.1], 1, id="never none"),
    ],
)
def test_usable_cores(affinity: int, quotas: list[float], expected: int) -> None:
    assert usable_cores(affinity, quotas) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("150000 100000\n", 1.5, id="version 2 with a limit"),
        pytest.param("max 100000\n", None, id="version 2 without"),
        pytest.param("-1 100000", None, id="version 1 without"),
        pytest.param("100000 0", None, id="a period of nothing says nothing"),
        pytest.param("rubbish", None, id="unreadable says nothing"),
    ],
)
def test_read_quota(text: str, expected: float | None) -> None:
    assert read_quota(text) == expected


def test_limits_of_all_groups_around_the_process_count(tmp_path: Path) -> None:
    inner = tmp_path / "pods" / "one"
    inner.mkdir(parents=True)
    (tmp_path / "pods" / "cpu.max").write_text("100000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    own = tmp_path / "own"
    own.write_text("0::/pods/one\n")

    assert available_cores(tmp_path, own) == 1


def test_the_quota_of_control_groups_version_1_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")

    assert available_cores(tmp_path, tmp_path / "absent") == 1


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cores(tmp_path, tmp_path / "absent") == len(os.sched_getaffinity(0))
