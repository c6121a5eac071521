"""Metrics under Triton's names, and what feeds them."""

import asyncio
import re
import threading

import numpy as np
import pytest

from pasarela_server.errors import BackendFailure, DeadlineExpired, InvalidRequest, QueueFull, RequestCancelled
from pasarela_server.observability.exposition import Exposition, Now
from pasarela_server.observability.metrics import Metrics, failure_reason
from pasarela_server.observability.record import RequestRecord
from pasarela_server.request import Found, Timings
from pasarela_server.scheduling.execution import Execution


class Clock:
    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        return self.now_ns


def samples(metrics):
    lines = [line for line in Exposition(metrics).text().decode().splitlines() if not line.startswith("#")]
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
    assert found['pasarela_request_stage_seconds_sum{model="m",stage="request",version="1"}'] == pytest.approx(18e-6)
    assert found['pasarela_open_requests{model="m",version="1"}'] == 0


def test_stages_are_told_apart_and_those_that_were_not_passed_left_out():
    metrics = Metrics()
    with metrics.request("m", 1) as outcome:
        outcome.timings = Timings(receive_ns=10_001, decode_ns=10_000, nms_ns=10_000_000_001, encode_ns=1)

    found = samples(metrics)
    bucket = 'pasarela_request_stage_seconds_bucket{{le="{}",model="m",stage="{}",version="1"}}'
    assert [found[bucket.format(bound, "receive")] for bound in ("1e-05", "5e-05", "+Inf")] == [0, 1, 1]
    assert [found[bucket.format(bound, "decode")] for bound in ("1e-05", "5e-05", "+Inf")] == [1, 1, 1]
    assert [found[bucket.format(bound, "nms")] for bound in ("10.0", "+Inf")] == [0, 1]
    passed = {re.search('stage="(\\w+)"', name)[1] for name in found if name.startswith("pasarela_request_stage")}
    assert passed == {"request", "receive", "decode", "nms", "encode"}
    assert found['pasarela_batch_rows_count{model="m",version="1"}'] == 0


@pytest.mark.parametrize("count", [1, 127, 128, 129, 1000])
def test_every_request_is_in_the_histograms_once(count):
    metrics = Metrics()
    for number in range(count):
        with metrics.request("m", 1) as outcome:
            outcome.timings = Timings(infer_ns=1000, batch_size=1 + number % 4)

    found = samples(metrics)
    labels = 'model="m",stage="infer",version="1"'
    assert found[f"pasarela_request_stage_seconds_count{{{labels}}}"] == count
    assert found[f"pasarela_request_stage_seconds_sum{{{labels}}}"] == pytest.approx(count / 1e6)
    assert found['pasarela_batch_rows_count{model="m",version="1"}'] == count
    assert found['pasarela_batch_rows_sum{model="m",version="1"}'] == sum(1 + number % 4 for number in range(count))


def test_batches_are_counted_by_why_they_were_closed_and_by_instance():
    metrics = Metrics()
    for reason, instance in (("full", 0), ("full", 1), ("delay", 1)):
        metrics.executed("m", 1, Execution(4, 1, 1, 1, reason, instance))

    found = samples(metrics)
    assert found['pasarela_batches_closed{model="m",reason="full",version="1"}'] == 2
    assert found['pasarela_batches_closed{model="m",reason="delay",version="1"}'] == 1
    assert found['pasarela_instance_batches{instance="0",model="m",version="1"}'] == 1
    assert found['pasarela_instance_batches{instance="1",model="m",version="1"}'] == 2


def test_requests_of_many_threads_are_all_counted():
    metrics = Metrics()

    def work():
        for _ in range(500):
            with metrics.request("m", 1) as outcome:
                outcome.timings = Timings(infer_ns=1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = samples(metrics)
    assert found['pasarela_request_stage_seconds_count{model="m",stage="infer",version="1"}'] == 2000
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
        RequestRecord("m", 1, "r7", 0, 5, 3, Timings(queue_ns=1)),
        RequestRecord("m", 2, "", 5, 5, 1, Timings(), InvalidRequest),
    ]
    assert metrics.statistics.of("m", 1).inference_count == 3
    assert metrics.statistics.of("m", 2).fail.count == 1


def test_queues_and_load_times_are_shown():
    metrics = Metrics()
    metrics.loaded("m", 1, 2.5, {"val": 0.5, "test": 0.25})
    text = Exposition(metrics).text(Now(pending=[("m", 1, 7), ("n", 2, 0)])).decode()
    assert 'nv_model_load_duration_secs{model="m",version="1"} 2.5' in text
    assert 'pasarela_model_map{model="m",split="val",version="1"} 0.5' in text
    assert 'pasarela_model_map{model="m",split="test",version="1"} 0.25' in text
    assert 'nv_inference_pending_request_count{model="m",version="1"} 7.0' in text
    assert 'nv_inference_pending_request_count{model="n",version="2"} 0.0' in text
    assert "nv_inference_pending_request_count{" not in Exposition(metrics).text().decode(), (
        "an unloaded model has no queue"
    )


def test_a_version_that_is_forgotten_leaves_nothing():
    metrics = Metrics()
    for version in (1, 2):
        metrics.loaded("m", version, 1, {"test": 0.5})
        metrics.executed("m", version, Execution(1, 1, 1, 1, "idle", 0))
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
    lines = Exposition(metrics).text().decode().splitlines()
    types = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    assert types["nv_inference_count"] == "counter"
    assert types["nv_inference_request_duration_us"] == "counter"
    assert types["pasarela_open_requests"] == "gauge"
    assert not [line for line in lines if "_created" in line]
    assert not [line for line in lines if "_total" in line and "memory_total" not in line and "process_" not in line]


def test_when_the_certificate_expires_is_asked_at_every_scrape():
    metrics = Metrics()
    assert b"certificate" not in Exposition(metrics).text(), "there is none without TLS"
    expires_s = 1.8e9
    metrics.certificate(lambda: expires_s)
    assert b"\npasarela_certificate_expires_timestamp_seconds 1.8e+09\n" in Exposition(metrics).text()
    expires_s = 1.9e9
    assert b"\npasarela_certificate_expires_timestamp_seconds 1.9e+09\n" in Exposition(metrics).text()


def test_what_is_found_is_counted_by_class_and_by_confidence():
    metrics = Metrics()
    for scores in ([0.9, 0.3], []):
        with metrics.request("m", 1) as outcome:
            outcome.found = Found(("shirt", "hat"), np.int32([0, 1][: len(scores)]), np.float32(scores))
    with pytest.raises(QueueFull), metrics.request("m", 1) as outcome:
        outcome.found = Found(("shirt", "hat"), np.int32([0]), np.float32([1]))
        raise QueueFull("x")

    found = samples(metrics)
    assert found['pasarela_detections{class="shirt",model="m",version="1"}'] == 1
    assert found['pasarela_detections{class="hat",model="m",version="1"}'] == 1
    assert found['pasarela_detection_confidence_bucket{le="0.3",model="m",version="1"}'] == 1
    assert found['pasarela_detection_confidence_count{model="m",version="1"}'] == 2
    assert found['pasarela_detection_confidence_sum{model="m",version="1"}'] == pytest.approx(1.2)
    assert b"# TYPE pasarela_detections counter" in Exposition(metrics).text()


def test_a_model_that_detects_nothing_has_no_confidence():
    metrics = Metrics()
    with metrics.request("m", 1):
        pass
    assert not [name for name in samples(metrics) if name.startswith("pasarela_detection")]


def test_how_the_server_is_now():
    metrics = Metrics()
    metrics.build(version="1.2", python="3.11")
    metrics.stream_changed("s/Stream", 1)
    metrics.stream_changed("s/Stream", 1)
    metrics.stream_changed("s/Stream", -1)
    text = Exposition(metrics).text(Now(ready=True, versions=[("m", 1, True), ("m", 2, False)])).decode()
    for line in (
        "pasarela_ready 1.0",
        'pasarela_model_ready{model="m",version="1"} 1.0',
        'pasarela_model_ready{model="m",version="2"} 0.0',
        'pasarela_build_info{python="3.11",version="1.2"} 1.0',
        'pasarela_open_streams{method="s/Stream"} 1.0',
    ):
        assert f"\n{line}\n" in text
    later = Exposition(metrics).text(Now(ready=False, versions=[("m", 1, True)])).decode()
    assert "\npasarela_ready 0.0\n" in later
    assert 'pasarela_model_ready{model="m",version="2"}' not in later, "it is unloaded"


def test_the_process_is_shown():
    assert samples(Metrics())["process_resident_memory_bytes"] > 1_000_000


def test_requests_that_end_after_their_version_was_forgotten_do_not_bring_it_back():
    told = []
    metrics = Metrics(listeners=[told.append])
    metrics.loaded("m", 1, 1, {})
    with metrics.request("m", 1), pytest.raises(QueueFull), metrics.request("m", 1):
        metrics.forget("m", 1)
        raise QueueFull("x")
    with metrics.request("m", 1):
        metrics.executed("m", 1, Execution(1, 1, 1, 1, "idle", 0))
    assert len(told) == 3, "logs and traces go on"
    assert not [name for name in samples(metrics) if 'version="1"' in name]

    metrics.loaded("m", 1, 1, {})
    with metrics.request("m", 1):
        pass
    assert samples(metrics)['nv_inference_request_success{model="m",version="1"}'] == 1


def test_models_that_come_and_go_for_years_take_no_room():
    metrics = Metrics()
    for number in range(3000):
        metrics.loaded(f"m{number}", 1, 1, {})
        metrics.forget(f"m{number}", 1)
    kept = [value for value in vars(metrics).values() if isinstance(value, dict | set)]
    assert sum(map(len, kept)) <= 1024
    for _ in range(2):  # whatever is forgotten again is among the last again
        metrics.forget("m2000", 1)
    for number in range(1000):
        metrics.forget(f"other{number}", 1)
    for late in ("m2000", "m2999", "other999"):
        with metrics.request(late, 1):
            pass
    assert not [name for name in samples(metrics) if "nv_inference_request_success" in name]


def test_an_id_without_end_is_cut():
    told = []
    with Metrics(listeners=[told.append]).request("m", 1, "r" * 100_000):
        pass
    assert told[0].request_id == "r" * 256
