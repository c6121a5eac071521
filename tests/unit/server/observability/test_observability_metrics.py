"""Metrics under Triton's names, and what feeds them."""

import asyncio

import pytest

from pasarela_server.errors import BackendFailure, DeadlineExpired, InvalidRequest, QueueFull, RequestCancelled
from pasarela_server.observability.metrics import Metrics, failure_reason
from pasarela_server.observability.record import RequestRecord
from pasarela_server.request import Timings


class Clock:
    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        return self.now_ns


def samples(metrics):
    lines = [line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_request_of_a_batch_adds_its_share():
    clock = Clock()
    metrics = Metrics(clock)
    for rows in (1, 3):
        with metrics.request("m", 1) as outcome:
            clock.now_ns += 9_000
            outcome.rows = rows
            outcome.timings = Timings(
                decode_queue_ns=500,
                decode_ns=300,
                letterbox_ns=200,
                queue_ns=1500,
                batch_ns=500,
                infer_ns=3000,
                split_ns=1000,
                nms_queue_ns=100,
                nms_ns=3000,
                batch_size=4,
            )

    found = samples(metrics)
    assert found['nv_inference_request_success{model="m",version="1"}'] == 2
    assert found['nv_inference_count{model="m",version="1"}'] == 4
    assert found['nv_inference_exec_count{model="m",version="1"}'] == 1
    assert found['nv_inference_request_duration_us{model="m",version="1"}'] == 18
    assert found['nv_inference_compute_input_duration_us{model="m",version="1"}'] == 2
    assert found['nv_inference_queue_duration_us{model="m",version="1"}'] == 4
    assert found['nv_inference_compute_infer_duration_us{model="m",version="1"}'] == 6
    assert found['nv_inference_compute_output_duration_us{model="m",version="1"}'] == 8
    assert found['pasarela_batch_rows_count{model="m",version="1"}'] == 2
    assert found['pasarela_request_stage_seconds_count{model="m",stage="infer",version="1"}'] == 2
    assert found['pasarela_open_requests{model="m",version="1"}'] == 0


def test_requests_that_travelled_in_no_batch_count_no_execution():
    metrics = Metrics()
    with metrics.request("m", 1):
        pass
    assert samples(metrics)['nv_inference_exec_count{model="m",version="1"}'] == 0


def test_open_requests_are_seen_while_they_are_open():
    metrics = Metrics()
    with metrics.request("m", 1):
        assert samples(metrics)['pasarela_open_requests{model="m",version="1"}'] == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (asyncio.CancelledError(), "CANCELED"),
        (RequestCancelled("x"), "CANCELED"),
        (QueueFull("x"), "REJECTED"),
        (DeadlineExpired("x"), "REJECTED"),
        (BackendFailure("x"), "BACKEND"),
        (InvalidRequest("x"), "OTHER"),
        (ZeroDivisionError(), "OTHER"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_failures_are_counted_by_reason(error, reason):
    metrics = Metrics()
    with pytest.raises(type(error)), metrics.request("m", 1):
        raise error

    assert failure_reason(error) == reason
    found = samples(metrics)
    assert found[f'nv_inference_request_failure{{model="m",reason="{reason}",version="1"}}'] == 1
    assert found['nv_inference_request_success{model="m",version="1"}'] == 0
    assert found['pasarela_open_requests{model="m",version="1"}'] == 0


def test_listeners_are_told_of_every_request_that_has_ended():
    clock, told = Clock(), []
    metrics = Metrics(clock, listeners=[told.append])
    with metrics.request("m", 1, "r7") as outcome:
        clock.now_ns += 5
        outcome.rows = 3
        outcome.timings = Timings(queue_ns=1)
    with pytest.raises(InvalidRequest), metrics.request("m", 2) as outcome:
        outcome.timings = Timings(queue_ns=1)
        raise InvalidRequest("x")

    assert told == [
        RequestRecord("m", 1, "r7", 0, 5, 3, Timings(queue_ns=1), failed=False),
        RequestRecord("m", 2, "", 5, 5, 1, Timings(), failed=True),
    ]
    assert metrics.statistics.of("m", 1).inference_count == 3
    assert metrics.statistics.of("m", 2).fail.count == 1


def test_queues_and_load_times_are_shown():
    metrics = Metrics()
    metrics.loaded("m", 1, 2.5)
    text = metrics.exposition([("m", 1, 7), ("n", 2, 0)]).decode()
    assert 'nv_model_load_duration_secs{model="m",version="1"} 2.5' in text
    assert 'nv_inference_pending_request_count{model="m",version="1"} 7.0' in text
    assert 'nv_inference_pending_request_count{model="n",version="2"} 0.0' in text
    assert "nv_inference_pending_request_count{" not in metrics.exposition().decode(), "an unloaded model has no queue"


def test_a_version_that_is_forgotten_leaves_nothing():
    metrics = Metrics()
    for version in (1, 2):
        metrics.loaded("m", version, 1)
        with metrics.request("m", version) as outcome:
            outcome.timings = Timings(batch_size=1)
        with pytest.raises(QueueFull), metrics.request("m", version):
            raise QueueFull("x")
    metrics.forget("m", 1)
    metrics.forget("unknown", 1)
    found = samples(metrics)
    assert not [name for name in found if 'version="1"' in name]
    assert found['nv_inference_exec_count{model="m",version="2"}'] == 1


def test_counters_keep_tritons_names_and_are_counters():
    metrics = Metrics()
    with metrics.request("m", 1):
        pass
    lines = metrics.exposition().decode().splitlines()
    types = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    assert types["nv_inference_count"] == "counter"
    assert types["nv_inference_request_duration_us"] == "counter"
    assert types["pasarela_open_requests"] == "gauge"
    assert not [line for line in lines if "_total" in line or "_created" in line]
