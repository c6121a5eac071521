"""Timings sorted into buckets, many at a time: as one at a time would be, and never many left over."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.observability.stage_times import BOUNDS_S, ROWS, STAGES, TOGETHER, StageTimes
from pasarela_server.request import Timings


def test_few_are_left_unsorted_however_many_come() -> None:
    times = StageTimes()
    most = 0
    for _ in range(3 * TOGETHER + 5):
        times.add(1, Timings(infer_ns=1))
        most = max(most, times.unsorted)
    assert (most, times.unsorted) == (TOGETHER - 1, 5)
    assert {stage: int(counts.sum()) for stage, counts, _ in times.stages()} == {
        "request": 3 * TOGETHER + 5,
        "infer": 3 * TOGETHER + 5,
    }
    assert times.unsorted == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20 * 10**9), st.integers(0, 300)), max_size=200))
def test_each_value_is_in_the_bucket_that_its_bound_closes(values: list[tuple[int, int]]) -> None:
    times = StageTimes()
    for time_ns, rows in values:
        times.add(0, Timings(nms_ns=time_ns, batch_size=rows))

    passed = [time_ns for time_ns, _ in values if time_ns]
    expected = np.zeros(len(BOUNDS_S) + 1, int)
    for time_ns in passed:
        expected[sum(time_ns > round(bound_s * 1e9) for bound_s in BOUNDS_S)] += 1
    found = {stage: (counts.tolist(), total_s) for stage, counts, total_s in times.stages()}
    assert found.keys() == ({"nms"} if passed else set())
    if passed:
        assert found["nms"] == (expected.tolist(), sum(passed) / 1e9)

    counts, total = times.rows()
    travelled = [rows for _, rows in values if rows]
    assert (int(counts.sum()), total) == (len(travelled), sum(travelled))
    for bound, at_most in zip(ROWS, np.cumsum(counts), strict=False):
        assert at_most == sum(rows <= bound for rows in travelled)


def test_stages_are_fields_of_the_timings() -> None:
    assert {f"{stage}_ns" for stage in STAGES[1:]} | {"submitted_ns", "total_ns", "batch_began_ns"} == {
        name for name in Timings._fields if name.endswith("_ns")
    }
