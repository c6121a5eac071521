"""Two readings make rows: rates, percentiles of what came in between, and nothing of what is not known."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from pasarela_client.models import ModelState
from pasarela_client.prometheus import Metrics
from pasarela_client.statistics import BatchTimes, Duration, ModelStatistics, Statistics
from pasarela_client.timings import BETWEEN
from pasarela_client.top.reading import Reading
from pasarela_client.top.rows import SORTS, Row, choose, make_rows, metrics_fit

MS = 1_000_000
READY = ModelState("m", "1", "READY", "")


def metrics_text(requests: int, *, success: int | None = None, below_100_ms: int | None = None, queued: int = 0) -> str:
    """As the server writes it: requests of which some took up to 0.1 s and the others up to 1 s."""
    labels = 'model="m",version="1"'
    fast = requests if below_100_ms is None else below_100_ms
    return (
        f"nv_inference_request_success{{{labels}}} {requests if success is None else success}\n"
        f"nv_inference_pending_request_count{{{labels}}} {queued}\n"
        f'pasarela_request_stage_seconds_bucket{{le="0.1",{labels},stage="request"}} {fast}\n'
        f'pasarela_request_stage_seconds_bucket{{le="1.0",{labels},stage="request"}} {requests}\n'
        f'pasarela_request_stage_seconds_bucket{{le="+Inf",{labels},stage="request"}} {requests}\n'
        f'pasarela_request_stage_seconds_sum{{{labels},stage="request"}} {requests * 0.05}\n'
        f'pasarela_request_stage_seconds_bucket{{le="0.1",{labels},stage="infer"}} {requests}\n'
        f'pasarela_request_stage_seconds_bucket{{le="+Inf",{labels},stage="infer"}} {requests}\n'
        f'pasarela_request_stage_seconds_sum{{{labels},stage="infer"}} {requests * 0.04}\n'
    )


def reading(at_s: float, requests: int, text: str | None = None, **changes: Any) -> Reading:
    spent = Duration(requests, requests * 50 * MS)
    each = ModelStatistics(
        name="m", version="1", answered=spent, rows=requests * 2, executions=requests, infer=spent,
        batches=(BatchTimes(2, Duration(), spent, Duration()),) if requests else (),
    )  # fmt: skip
    return Reading(
        **{
            "at_s": at_s,
            "clock_s": 1e9 + at_s,
            "states": (READY,),
            "statistics": Statistics((each,), at_s),
            "metrics": None if text is None else Metrics.parse(text),
            "instances": {("m", "1"): 2},
            **changes,
        }
    )


def test_a_row_tells_what_happened_in_between() -> None:
    (row,) = make_rows(
        reading(0.0, 1000, metrics_text(1000)), reading(2.0, 1100, metrics_text(1100, below_100_ms=1050, queued=3))
    )
    assert (row.requests_per_s, row.failures_per_s, row.rows_per_s) == (50, 0, 100)
    assert (row.mean_batch_rows, row.queued, row.instances) == (2, 3, 2)
    assert row.use == pytest.approx(1.0), "100 batches of 50 ms on 2 instances in 2 s"
    assert row.latency_ms == {50: pytest.approx(100), 90: pytest.approx(820), 99: pytest.approx(982)}
    assert row.stages_ms == {"queue": 0, "input": 0, "infer": 50, "output": 0, BETWEEN: 0}
    assert row.all_stages_ms == {"infer": pytest.approx(40), BETWEEN: pytest.approx(10)}
    assert row.busy


def test_a_percentile_beyond_the_last_bound_is_infinite_and_null_in_json() -> None:
    before, after = metrics_text(0), metrics_text(100)
    end = 'le="+Inf",model="m",version="1",stage="request"} '
    after = after.replace(f"{end}100", f"{end}150")
    (row,) = make_rows(reading(0.0, 0, before), reading(1.0, 100, after))
    assert math.isinf(row.latency_ms[99])
    assert row.last_bound_ms == pytest.approx(1000)
    assert (row.to_dict()["p99_ms"], row.to_dict()["p50_ms"]) == (None, pytest.approx(75))


def test_the_first_reading_knows_states_only() -> None:
    (row,) = make_rows(None, reading(0.0, 1000, metrics_text(1000, queued=2)))
    assert (row.state, row.requests_per_s, row.latency_ms, row.queued) == ("READY", None, {}, 2)


@pytest.mark.parametrize(
    ("earlier", "later", "rate"),
    [
        pytest.param(reading(0.0, 10), reading(2.0, 30), 10.0, id="no metrics at all"),
        pytest.param(reading(0.0, 10), reading(2.0, 30, metrics_text(30)), 10.0, id="metrics since the last look only"),
        pytest.param(reading(0.0, 10, metrics_text(10)), reading(2.0, 10, metrics_text(10)), 0.0, id="no requests"),
        pytest.param(
            reading(0.0, 10, "x 1"), reading(2.0, 30, "x 1"), 10.0, id="metrics without the histogram, as Triton's"
        ),
    ],
)
def test_without_metrics_there_are_rates_but_no_percentiles(earlier: Reading, later: Reading, rate: float) -> None:
    (row,) = make_rows(earlier, later)
    assert (row.requests_per_s, row.latency_ms, row.all_stages_ms) == (rate, {}, {})


def test_percentiles_that_triton_tells_itself() -> None:
    text = "".join(
        f'nv_inference_request_summary_us{{model="m",version="1",quantile="{quantile}"}} {value}\n'
        for quantile, value in (("0.5", 31018), ("0.9", 43618), ("0.95", 53332), ("0.99", "Nan"))
    )
    (row,) = make_rows(reading(0.0, 10, text), reading(1.0, 30, text))
    assert row.latency_ms == {50: pytest.approx(31.018), 90: pytest.approx(43.618)}
    (idle,) = make_rows(reading(0.0, 10, text), reading(1.0, 10, text))
    assert idle.latency_ms == {}, "they are old"


def test_a_server_without_statistics_has_states() -> None:
    (row,) = make_rows(reading(0.0, 0, statistics=None), reading(1.0, 0, statistics=None))
    assert (row.state, row.requests_per_s, row.use) == ("READY", None, None)


def test_what_is_not_ready_is_listed_with_its_reason() -> None:
    broken = ModelState("b", "3", "UNAVAILABLE", "no such file")
    rows = make_rows(reading(0.0, 1), reading(1.0, 2, states=(READY, broken)))
    assert [(row.name, row.ready, row.reason, row.requests_per_s) for row in rows] == [
        ("m", True, "", 1),
        ("b", False, "no such file", None),
    ]


def test_what_computes_nothing_itself_has_no_use() -> None:
    (row,) = make_rows(reading(0.0, 1), reading(1.0, 2, instances={("m", "1"): 0}))
    assert row.use is None


@pytest.mark.parametrize(
    ("earlier", "later", "fits"),
    [
        pytest.param(None, reading(0.0, 1000, metrics_text(1003)), True, id="a few requests came after the statistics"),
        pytest.param(None, reading(0.0, 1000, metrics_text(0)), False, id="another server, that did nothing"),
        pytest.param(None, reading(0.0, 1000, "other 1"), True, id="metrics that do not tell: nothing speaks against"),
        pytest.param(
            reading(0.0, 10, metrics_text(5000)), reading(1.0, 12, metrics_text(5100)), False,
            id="another server, that did much",
        ),
        pytest.param(
            reading(0.0, 5000, metrics_text(5000)), reading(1.0, 12, metrics_text(12)), True, id="the server began anew"
        ),
    ],
)  # fmt: skip
def test_metrics_of_another_server_are_noticed(earlier: Reading | None, later: Reading, fits: bool) -> None:
    assert metrics_fit(earlier, later) is fits
    (row,) = make_rows(earlier, later)
    assert fits or (row.latency_ms, row.queued) == ({}, None)


def row(name: str, version: str = "1", **changes: Any) -> Row:
    return Row(name, version, "READY", **changes)


ROWS = [
    row("a", "10", requests_per_s=1.0, queued=0),
    row("a", "9", requests_per_s=None),
    row("b", requests_per_s=7.0, failures_per_s=2.0, latency_ms={50: 9.0, 99: math.inf}),
    row("ab", requests_per_s=0.0, latency_ms={50: 3.0, 99: 5.0}),
]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        pytest.param({}, ["a 9", "a 10", "ab 1", "b 1"], id="by name, versions as numbers"),
        pytest.param({"reverse": True}, ["b 1", "ab 1", "a 10", "a 9"], id="the other way round"),
        pytest.param({"sort": "requests"}, ["b 1", "a 10", "ab 1", "a 9"], id="numbers fall, the unknown at the end"),
        pytest.param({"sort": "requests", "reverse": True}, ["ab 1", "a 10", "b 1", "a 9"], id="numbers rise"),
        pytest.param({"sort": "p99"}, ["b 1", "ab 1", "a 9", "a 10"], id="infinite is the largest"),
        pytest.param({"names": ["a"]}, ["a 9", "a 10"], id="one model"),
        pytest.param({"names": ["a?", "b*"]}, ["ab 1", "b 1"], id="patterns"),
        pytest.param({"busy": True}, ["a 10", "b 1"], id="only those that do anything"),
        pytest.param({"names": ["nothing"]}, [], id="none"),
    ],
)
def test_rows_are_chosen_and_sorted(wishes: Mapping[str, Any], expected: list[str]) -> None:
    assert [f"{each.name} {each.version}" for each in choose(ROWS, **wishes)] == expected


@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_keeps_all_rows(sort: str) -> None:
    assert len(choose(ROWS, sort=sort)) == len(ROWS)
