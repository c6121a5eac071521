"""What the server's metrics and process say, as lines of a file, and what follows from them."""

from pathlib import Path

import pytest

from loadtest.report.exposition import Exposition, ModelCounts, ProcessCounts, read_exposition
from loadtest.report.samples import (
    Sample,
    closed_batches,
    failures,
    intervals,
    notes,
    read_samples,
)
from loadtest.report.server_side import on_run_clock, server_side
from pasarela_server.observability.exposition import Exposition as Page
from pasarela_server.observability.exposition import Now
from pasarela_server.observability.metrics import Metrics
from pasarela_server.request import Timings
from pasarela_server.scheduling.execution import Execution
from tests.example_run import STARTED_AT
from tests.example_run import samples as example_samples


def exposition() -> str:
    """What a server writes that answered one request, and refused one."""
    metrics = Metrics()
    with metrics.request("garments", 1) as outcome:
        outcome.timings = Timings(queue_ns=2_000_000, infer_ns=30_000_000, batch_size=2)
    with pytest.raises(ZeroDivisionError), metrics.request("garments", 1):
        raise ZeroDivisionError
    return Page(metrics).text(Now(pending=[("garments", 1, 3)])).decode()


def test_the_servers_own_text_is_understood() -> None:
    counts = read_exposition(exposition()).models["garments/1"]
    assert counts.pending == 3
    assert counts.answered == 1
    assert counts.failed == {"OTHER": 1}
    assert counts.stages["infer"] == (1, pytest.approx(0.03))
    assert counts.stages["queue"] == (1, pytest.approx(0.002))
    assert counts.batch_rows["2.0"] == 1


def test_tritons_text_is_understood_as_far_as_it_goes() -> None:
    text = (
        "# HELP nv_inference_count Number of inferences\n# TYPE nv_inference_count counter\n"
        'nv_inference_count{model="resnet",version="3"} 12\n'
        'nv_gpu_utilization{gpu_uuid="GPU-1"} 0.5\n'
    )
    assert read_exposition(text) == Exposition({"resnet/3": ModelCounts(rows=12)}, None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("<html>It works!</html>", id="another web server"),
        pytest.param('http_requests_total{code="200"} 7\n', id="another program's metrics"),
    ],
)
def test_what_is_not_told_is_nothing(text: str) -> None:
    assert read_exposition(text) == Exposition({}, None)


def test_a_server_tells_what_its_processes_use() -> None:
    text = (
        'pasarela_processes{process="main"} 1\npasarela_processes{process="front"} 2\n'
        'pasarela_processes_cpu_seconds{process="main"} 3.5\npasarela_processes_cpu_seconds{process="front"} 1.5\n'
        'pasarela_processes_resident_memory_bytes{process="main"} 2e8\n'
        'pasarela_processes_resident_memory_bytes{process="front"} 1e8\n'
    )
    assert read_exposition(text) == Exposition({}, ProcessCounts(5.0, 300_000_000, 3))


def test_a_line_without_a_model_is_no_servers() -> None:
    with pytest.raises(ValueError, match="no label `model`"):
        read_exposition('nv_inference_count{gpu="1"} 12\n')


def test_samples_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    seen = [*example_samples(3), Sample(STARTED_AT + 4, note="gone")]
    path.write_text("".join(sample.to_line() + "\n" for sample in seen))
    assert read_samples(path) == seen


def test_what_later_versions_write_more_is_passed_over() -> None:
    line = (
        '{"time_s": 1.0, "joules": 3, "process": {"cpu_s": 1.5, "resident_bytes": 7, "processes": 2, "threads": 9}, '
        '"models": {"m/1": {"answered": 4, "cached": 2}}}'
    )
    assert Sample.from_line(line) == Sample(1.0, ProcessCounts(1.5, 7, 2), {"m/1": ModelCounts(answered=4)})


def test_a_line_that_was_not_finished_is_left_out_and_a_broken_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    whole = [sample.to_line() for sample in example_samples(2)]
    path.write_text("\n".join([*whole, whole[0][:40]]))
    assert len(read_samples(path)) == len(whole)
    path.write_text("\n".join([whole[0], whole[1][:40], whole[2], ""]))
    with pytest.raises(ValueError, match=r"server\.jsonl, line 2"):
        read_samples(path)


def test_counters_become_what_happened_between_two_looks() -> None:
    before = Sample(
        10.0,
        ProcessCounts(4.0, 100, 2),
        {"m/1": ModelCounts(answered=10, rows=20, batches=10, closed={"full": 10}, stages={"infer": (10, 0.5)})},
    )
    after = Sample(
        12.0,
        ProcessCounts(7.0, 200, 2),
        {
            "m/1": ModelCounts(
                answered=30, rows=80, batches=30, pending=2, open=5, closed={"full": 25, "delay": 5},
                stages={"infer": (30, 1.5)},
            ),
            "new/1": ModelCounts(answered=4),
        },
    )  # fmt: skip
    (one,) = intervals([before, after])
    assert one.cores == pytest.approx(1.5)
    assert one.resident_bytes == 200
    assert (one.pending, one.open) == (2, 5)
    assert one.answered_per_second == pytest.approx((20 + 4) / 2)
    assert one.batch_rows == pytest.approx(60 / 20)
    assert one.stages_s["infer"] == (20, pytest.approx(1.0))
    assert closed_batches([before, after]) == {"full": 15, "delay": 5}


def test_a_server_that_was_started_anew_counts_from_nothing() -> None:
    before = Sample(0.0, models={"m/1": ModelCounts(answered=1000, failed={"REJECTED": 7})})
    after = Sample(1.0, models={"m/1": ModelCounts(answered=5, failed={"REJECTED": 2})})
    assert intervals([before, after])[0].answered_per_second == 5
    assert failures([before, after]) == {"REJECTED": 2}


def test_what_could_not_be_seen_is_none_and_told_once() -> None:
    blind = [Sample(float(second), note="connection refused") for second in range(3)]
    assert [(one.cores, one.pending, one.answered_per_second) for one in intervals(blind)] == [(None, None, None)] * 2
    assert notes(blind) == ["connection refused"]


def test_the_servers_side_is_on_the_runs_clock_and_ends_with_it() -> None:
    found = server_side(on_run_clock(example_samples(20), STARTED_AT), 10.0)
    assert found is not None
    assert found["times_s"] == [second + 0.5 for second in range(10)]
    assert found["batch_rows"] == [1.5] * 10
    assert found["stages_ms"]["infer"] == pytest.approx(11.0)
    assert found["processes"] == 3


def test_a_long_run_has_no_more_points_than_can_be_told_apart() -> None:
    found = server_side(on_run_clock(example_samples(3600), STARTED_AT), 3600.0)
    assert found is not None
    assert len(found["times_s"]) == len(found["cores"]) == 240
    assert found["cores"][100] == pytest.approx(1.7, rel=0.5)
    assert found["waiting"][100] == pytest.approx(1.0), "0, 1, 2, 0, 1, 2, …"


def test_a_server_that_was_not_looked_at_has_no_side() -> None:
    assert server_side([], 10.0) is None


def test_executions_of_the_server_are_understood() -> None:
    metrics = Metrics()
    metrics.executed("raw", 1, Execution(4, 1_000, 2_000, 1_000, "full"))
    counts = read_exposition(Page(metrics).text().decode()).models["raw/1"]
    assert (counts.rows, counts.batches, counts.closed) == (4, 1, {"full": 1})
