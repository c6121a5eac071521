"""Metrics under Triton's names, and what feeds them."""

import asyncio

import pytest

from pasarela_server.errors import BackendFailure, DeadlineExpired, InvalidRequest, QueueFull, RequestCancelled
from pasarela_server.observability.metrics import Metrics, failure_reason
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
                preprocess_ns=1000, queue_ns=2000, infer_ns=3000, postprocess_ns=4000, batch_size=4
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
    assert 'nv_inference_exec_count{model="m",version="1"}' not in samples(metrics)


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
    assert 'nv_inference_request_success{model="m",version="1"}' not in found
    assert found['pasarela_open_requests{model="m",version="1"}'] == 0


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
