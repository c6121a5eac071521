"""Readings of statistics, and their differences."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client.statistics import (
    STAGES,
    BatchTimes,
    Duration,
    ModelStatistics,
    Statistics,
    version_key,
)
from pasarela_client.timings import BETWEEN

MS = 1_000_000


def told(requests: int, *, name: str = "m", version: str = "1", failed: int = 0, rows: int = 2) -> ModelStatistics:
    """So many requests of several rows, each in a batch of its own, of 10 ms, of which 1, 2, 3 and 2 ms are known."""
    count = [Duration(requests, requests * ms * MS) for ms in (1, 2, 3, 2)]
    batches = (BatchTimes(rows, count[1], count[2], count[3]),) if requests else ()
    return ModelStatistics(
        name=name, version=version, answered=Duration(requests, requests * 10 * MS), failed=Duration(failed, 0),
        queue=count[0], input=count[1], infer=count[2], output=count[3], rows=requests * rows, executions=requests,
        batches=batches,
    )  # fmt: skip


def test_the_difference_of_two_readings_is_what_was_done_in_between() -> None:
    traffic = (Statistics((told(50, failed=3),), 12.0) - Statistics((told(10, failed=1),), 8.0)).of("m")
    assert (traffic.seconds, traffic.began_anew) == (4.0, False)
    assert (traffic.answered, traffic.failed) == (Duration(40, 400 * MS), Duration(2, 0))
    assert (traffic.rows, traffic.executions, traffic.mean_batch_rows) == (80, 40, 2.0)
    assert [(batch.rows, batch.executions, batch.mean_ms) for batch in traffic.batches] == [(2, 40, 7.0)]
    rates = traffic.requests_per_s, traffic.failures_per_s, traffic.rows_per_s, traffic.executions_per_s
    assert rates == (10.0, 0.5, 20.0, 10.0)
    assert traffic.stages_ns == {
        "queue": 1 * MS, "input": 2 * MS, "infer": 3 * MS, "output": 2 * MS, BETWEEN: 2 * MS,
    }  # fmt: skip
    assert [traffic.mean_ms(stage) for stage in STAGES] == [1, 2, 3, 2]
    assert traffic.concurrency == pytest.approx(0.1), "40 requests of 10 ms in 4 s"
    assert (traffic.busy(1), traffic.busy(2), traffic.busy(0)) == (pytest.approx(0.07), pytest.approx(0.035), 0.0)


@pytest.mark.parametrize(
    ("earlier", "later", "answered", "anew"),
    [
        pytest.param([told(5)], [told(5)], {"1": 0}, False, id="nothing happened"),
        pytest.param([], [told(7)], {"1": 7}, True, id="it was loaded in between"),
        pytest.param([told(100)], [told(7)], {"1": 7}, True, id="it was loaded anew, and began to count anew"),
        pytest.param([told(0, failed=9)], [told(2, failed=1)], {"1": 2}, True, id="only the failures tell that"),
        pytest.param([told(5)], [], {}, False, id="it was unloaded"),
        pytest.param([told(5)], [told(8), told(3, version="2")], {"1": 3, "2": 3}, True, id="a version came along"),
    ],
)
def test_versions_that_come_go_and_begin_anew(
    earlier: list[ModelStatistics], later: list[ModelStatistics], answered: dict[str, int], anew: bool
) -> None:
    traffic = Statistics(tuple(later), 2.0) - Statistics(tuple(earlier), 1.0)
    assert {each.version: each.answered.count for each in traffic} == answered
    assert any(each.began_anew for each in traffic) is anew


def test_nothing_done_is_no_division_by_zero() -> None:
    nothing = (Statistics((told(0),), 1.0) - Statistics((told(0),), 1.0)).of("m")
    assert (nothing.requests_per_s, nothing.mean_batch_rows, nothing.stages_ns, nothing.busy(2)) == (0, 0, {}, 0)
    assert nothing.to_dict()["mean_ms"] == dict.fromkeys(("request", *STAGES), 0.0)


def test_a_model_is_found_by_name_and_the_highest_version_comes_first() -> None:
    reading = Statistics((told(1, version="9"), told(2, version="10"), told(3, name="n")), 0.0)
    assert reading.of("m").version == "10"
    assert reading.of("m", "9").answered.count == 1
    with pytest.raises(KeyError, match="no statistics of 'm' version 3"):
        reading.of("m", "3")
    with pytest.raises(KeyError, match="no stage 'decode'"):
        reading.of("n").mean_ms("decode")


def test_json_tells_counts_means_and_rates() -> None:
    earlier, later = Statistics((told(10),), 0.0), Statistics((told(20),), 2.0)
    whole, added = later.of("m").to_dict(), (later - earlier).of("m").to_dict()
    assert (whole["answered"], added["answered"], added["requests_per_s"]) == (20, 10, 5.0)
    assert whole["batches"] == [{"rows": 2, "executions": 20, "mean_ms": 7.0}]
    assert whole["mean_ms"] == {"request": 10.0, "queue": 1.0, "input": 2.0, "infer": 3.0, "output": 2.0}
    assert "requests_per_s" not in whole


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=6))
def test_intervals_add_up_to_the_whole(added: list[int]) -> None:
    totals = [sum(added[: number + 1]) for number in range(len(added))]
    readings = [Statistics((told(total),), float(at)) for at, total in enumerate(totals)]
    steps = [(later - earlier).of("m") for earlier, later in itertools.pairwise(readings)]
    whole = (readings[-1] - readings[0]).of("m")
    assert sum(step.answered.count for step in steps) == whole.answered.count
    assert sum(step.busy_ns for step in steps) == whole.busy_ns
    assert sum(step.rows for step in steps) == whole.rows


def test_values_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        told(1).rows = 2  # type: ignore[misc]


def test_versions_sort_as_numbers() -> None:
    assert sorted(["10", "9", "", "2"], key=version_key) == ["", "2", "9", "10"]
