"""Each rule of the doctor, as a table: the facts, whether it speaks, and why it should."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pasarela_client.doctor import merging, spending
from pasarela_client.doctor.diagnosis import RULES, diagnose
from pasarela_client.doctor.facts import NO_STATISTICS, Facts, Probes, Setup
from pasarela_client.doctor.finding import Finding, Severity
from pasarela_client.models import Batching, TensorSpec
from pasarela_client.statistics import BatchTimes, Duration, ModelTraffic
from pasarela_client.timings import Timings

MS = 1_000_000
IMAGES = (TensorSpec("images", "FP32", (-1, 3, 640, 640)),)
FREE = (TensorSpec("images", "FP32", (-1, 3, -1, -1)),)
Rule = Callable[[Facts], Finding | None]


def setup(**changes: Any) -> Setup:
    """A raw model on a CPU that merges."""
    fields = {
        "name": "raw",
        "backend": "openvino",
        "max_batch_size": 8,
        "batching": Batching(),
        "instances": 2,
        "device": "CPU",
        "inputs": IMAGES,
    }
    return Setup(**(fields | changes))


def watched(
    *,
    seconds: float = 10.0,
    requests: int = 100,
    request_ms: float = 100.0,
    queue_ms: float = 0.0,
    input_ms: float = 0.0,
    infer_ms: float = 0.0,
    output_ms: float = 0.0,
    batches: dict[int, tuple[int, float]] | None = None,
    failed: int = 0,
) -> ModelTraffic:
    """Means of a request, and by rows how many batches were executed and what one took in ms."""
    sizes = batches or {}
    means = {"answered": request_ms, "queue": queue_ms, "input": input_ms, "infer": infer_ms, "output": output_ms}
    return ModelTraffic(
        name="m",
        version="1",
        seconds=seconds,
        failed=Duration(failed, failed),
        rows=sum(size * count for size, (count, _) in sizes.items()),
        executions=sum(count for count, _ in sizes.values()),
        batches=tuple(
            BatchTimes(size, infer=Duration(count, round(count * took * MS))) for size, (count, took) in sizes.items()
        ),
        **{stage: Duration(requests, round(requests * mean_ms * MS)) for stage, mean_ms in means.items()},
    )


def facts(runs: Setup | None = None, traffic: ModelTraffic | None = None, **changes: Any) -> Facts:
    runs = runs or setup()
    traffic = traffic or replace(NO_STATISTICS, seconds=10.0)
    return Facts(changes.pop("asked", runs), runs, traffic, changes.pop("executed", traffic), **changes)


def probes(clients: int = 1, *, errors: dict[str, int] | None = None, **stages_ms: float) -> Probes:
    """One probe with these stages; `network` is what the client saw beyond them."""
    network = stages_ms.pop("network", 0.0)
    total = round(sum(stages_ms.values()) * MS)
    told = Timings(
        **{f"{stage}_ns": round(ms * MS) for stage, ms in stages_ms.items()},
        total_ns=total,
        batch_size=1,
        close_reason="idle",
        instance=0,
        round_trip_ns=total + round(network * MS),
    )
    return Probes(clients, (told,) if stages_ms else (), errors or {}, dict.fromkeys(errors or {}, "so it says"))


GPU = {"device": "GPU"}
DETECTION = Setup("finder", backend="detection", below="raw")
NOT_MERGING = setup(batching=None)
BUSY = {1: (100, 190.0)}
"""100 batches of 190 ms in 10 s, on two instances: 95 % busy."""

ROWS = [
    # --- merging: does it batch?
    pytest.param(
        merging.one_row_at_a_time, facts(setup(max_batch_size=0, batching=None)), Severity.NOTE, "nothing to gain",
        id="on a CPU a model without batch dimension is as it should be",
    ),
    pytest.param(
        merging.one_row_at_a_time,
        facts(setup(max_batch_size=0, batching=None, inputs=(TensorSpec("x", "FP32", (1, 3, 640, 640)),), **GPU)),
        Severity.ADVICE,
        "a GPU needs rows, and the artefact is fixed to one",
        id="on a GPU it is not",
    ),
    pytest.param(merging.one_row_at_a_time, facts(), None, "it has one", id="it has a batch dimension"),
    pytest.param(
        merging.one_row_at_a_time, facts(setup(max_batch_size=1, batching=None, **GPU)), Severity.ADVICE,
        "one row is no batch either", id="a batch dimension with room for one",
    ),
    pytest.param(
        merging.merges_nothing, facts(NOT_MERGING), Severity.NOTE, "decision 8", id="no merging on a CPU is right",
    ),
    pytest.param(
        merging.merges_nothing, facts(setup(batching=None, **GPU)), Severity.ADVICE, "a GPU idles",
        id="no merging on a GPU is not",
    ),
    pytest.param(merging.merges_nothing, facts(), None, "it merges", id="it merges"),
    pytest.param(
        merging.merges_nothing, facts(setup(max_batch_size=1, batching=None)), None, "there is nothing to merge",
        id="no merging, and no room for it",
    ),
    pytest.param(
        merging.batches_of_one, facts(setup(max_batch_size=1)), Severity.ADVICE, "no room for a second",
        id="merging without room",
    ),
    pytest.param(merging.batches_of_one, facts(), None, "there is room", id="merging with room"),
    pytest.param(
        merging.never_two_waiting, facts(traffic=watched(batches={1: (100, 50.0)})), Severity.ADVICE,
        "one request at a time for two instances", id="batches of one because nobody waits",
    ),
    pytest.param(
        merging.never_two_waiting, facts(traffic=watched(request_ms=800, batches={1: (100, 50.0)})), None,
        "8 at a time wait: something else keeps them apart", id="batches of one although many wait",
    ),
    pytest.param(
        merging.never_two_waiting, facts(traffic=watched(batches={1: (9, 50.0)})), None, "too few to say",
        id="too few batches",
    ),
    pytest.param(
        merging.never_two_waiting, facts(NOT_MERGING, watched(batches={1: (100, 50.0)})), None, "it would not merge them",
        id="nobody waits, and nothing would be merged",
    ),
    pytest.param(
        merging.delay_for_nobody,
        facts(setup(batching=Batching(5000)), watched(queue_ms=5.2, batches={1: (100, 9.0)})),
        Severity.ADVICE,
        "the whole delay is waited, for nobody",
        id="a delay in vain",
    ),
    pytest.param(
        merging.delay_for_nobody,
        facts(setup(batching=Batching(5000)), watched(queue_ms=5.2, batches={4: (25, 9.0)})),
        None,
        "company came",
        id="a delay that brings company",
    ),
    pytest.param(
        merging.delay_for_nobody,
        facts(setup(batching=Batching(5000)), watched(queue_ms=90.0, batches={1: (100, 9.0)})),
        None,
        "they wait for instances, not for the delay",
        id="much longer waits than the delay",
    ),
    pytest.param(
        merging.delay_for_nobody, facts(traffic=watched(queue_ms=5, batches={1: (100, 9.0)})), None, "there is no delay",
        id="no delay",
    ),
    pytest.param(
        merging.delay_too_long,
        facts(setup(batching=Batching(50_000)), watched(queue_ms=40.0, batches={4: (25, 10.0)})),
        Severity.ADVICE,
        "four times as long as computing takes",
        id="a delay much longer than a batch takes",
    ),
    pytest.param(
        merging.delay_too_long,
        facts(setup(batching=Batching(50_000)), watched(queue_ms=40.0, batches={4: (1500, 10.0)})),
        None,
        "busy instances: the delay is not what they wait for",
        id="a long delay on busy instances",
    ),
    pytest.param(
        merging.delay_too_short,
        facts(
            setup(batching=Batching(100), max_batch_size=32, instances=1, **GPU),
            watched(request_ms=1600, batches={2: (50, 190.0)}),
        ),
        Severity.ADVICE,
        "16 at a time, yet batches of 2 fill the GPU's time",
        id="a delay too short for a busy GPU",
    ),
    pytest.param(
        merging.delay_too_short,
        facts(setup(batching=Batching(100), instances=1), watched(request_ms=1600, batches={2: (50, 190.0)})),
        None,
        "on a CPU larger batches gain nothing",
        id="the same on a CPU",
    ),
    pytest.param(
        merging.delay_too_short,
        facts(
            setup(batching=Batching(100), max_batch_size=32, instances=1, **GPU),
            watched(request_ms=1600, batches={16: (50, 190.0)}),
        ),
        None,
        "batches are as large as they can be",
        id="large batches",
    ),
    pytest.param(
        merging.preferred_never_reached,
        facts(setup(batching=Batching(0, (4, 8))), watched(batches={1: (50, 9.0), 3: (10, 9.0)})),
        Severity.ADVICE,
        "neither 4 nor 8 was seen",
        id="preferred sizes that do not occur",
    ),
    pytest.param(
        merging.preferred_never_reached,
        facts(setup(batching=Batching(0, (4, 8))), watched(batches={1: (50, 9.0), 4: (10, 9.0)})),
        None,
        "4 was seen",
        id="a preferred size that occurs",
    ),
    pytest.param(
        merging.shapes_differ,
        facts(setup(inputs=FREE), watched(request_ms=800, batches={1: (100, 90.0)})),
        Severity.ADVICE,
        "8 at a time, free sizes, batches of one",
        id="free sizes keep requests apart",
    ),
    pytest.param(
        merging.shapes_differ,
        facts(traffic=watched(request_ms=800, batches={1: (100, 90.0)})),
        None,
        "all have the same size",
        id="fixed sizes",
    ),
    pytest.param(
        merging.merging_on_a_cpu,
        facts(setup(batching=Batching(100_000)), watched(request_ms=600, batches={6: (17, 450.0)})),
        Severity.ADVICE,
        "six at a time share one instance, the other is free",
        id="merged on a CPU whose instances are free",
    ),
    pytest.param(
        merging.merging_on_a_cpu,
        facts(setup(batching=Batching(100_000)), watched(request_ms=600, batches={6: (17, 1100.0)})),
        None,
        "both are busy",
        id="merged on a CPU whose instances are busy",
    ),
    pytest.param(
        merging.merging_on_a_cpu,
        facts(setup(batching=Batching(100_000), **GPU), watched(request_ms=600, batches={6: (17, 450.0)})),
        None,
        "on a GPU batches are the point",
        id="merged on a GPU",
    ),
    pytest.param(
        merging.what_batching_gains,
        facts(setup(**GPU), watched(batches={1: (10, 10.0), 8: (10, 20.0)})),
        Severity.NOTE,
        "four times the rows",
        id="merging pays",
    ),
    pytest.param(
        merging.what_batching_gains,
        facts(traffic=watched(batches={1: (10, 10.0), 4: (10, 39.0)})),
        Severity.ADVICE,
        "3.9 times as long for 4 rows",
        id="merging pays nothing on a CPU",
    ),
    pytest.param(
        merging.what_batching_gains,
        facts(traffic=watched(batches={4: (10, 39.0)})),
        None,
        "there is nothing to compare with",
        id="one size only",
    ),
    pytest.param(
        merging.what_batching_gains,
        facts(traffic=watched(batches={1: (2, 10.0), 4: (10, 39.0)})),
        None,
        "two are too few",
        id="too few of one size",
    ),
    pytest.param(
        merging.too_many_instances,
        facts(setup(instances=4, max_batch_size=32, **GPU), watched(request_ms=3200, batches={4: (100, 10.0)})),
        Severity.ADVICE,
        "four share 32 requests in batches of 4 of 32",
        id="many instances of one GPU",
    ),
    pytest.param(
        merging.too_many_instances,
        facts(setup(instances=4, max_batch_size=32), watched(request_ms=3200, batches={4: (100, 10.0)})),
        None,
        "on a CPU instances are the point",
        id="many instances on a CPU",
    ),
    # --- spending: where does the time go?
    pytest.param(spending.no_traffic, facts(), Severity.NOTE, "nobody asked", id="no traffic"),
    pytest.param(spending.no_traffic, facts(traffic=NO_STATISTICS), Severity.NOTE, "it keeps none", id="no statistics"),
    pytest.param(spending.no_traffic, facts(traffic=watched()), None, "somebody asked", id="traffic"),
    pytest.param(spending.no_traffic, facts(probes=probes(infer=5)), None, "we asked", id="probes"),
    pytest.param(
        spending.failures, facts(traffic=watched(failed=3)), Severity.PROBLEM, "3 got no answer", id="failures"
    ),
    pytest.param(spending.failures, facts(traffic=watched()), None, "all were answered", id="no failures"),
    pytest.param(
        spending.probes_failed, facts(probes=probes(errors={"QueueFull": 4})), Severity.PROBLEM, "refused",
        id="probes refused",
    ),
    pytest.param(
        spending.probes_failed, facts(probes=probes(errors={"InvalidRequest": 4})), Severity.PROBLEM, "wrong",
        id="probes that the model cannot answer",
    ),
    pytest.param(spending.probes_failed, facts(probes=probes(infer=5)), None, "answered", id="probes answered"),
    pytest.param(
        spending.saturated,
        facts(NOT_MERGING, watched(request_ms=800, queue_ms=600, infer_ms=190, batches=BUSY)),
        Severity.PROBLEM,
        "busy, and three quarters of the time is waiting",
        id="saturated",
    ),
    pytest.param(
        spending.saturated,
        facts(NOT_MERGING, watched(request_ms=300, queue_ms=100, infer_ms=190, batches=BUSY)),
        Severity.ADVICE,
        "busy, and a third of the time is waiting",
        id="nearly saturated",
    ),
    pytest.param(
        spending.saturated,
        facts(setup(batching=None, **GPU), watched(request_ms=800, queue_ms=600, infer_ms=190, batches=BUSY)),
        Severity.PROBLEM,
        "a GPU that merges nothing",
        id="a saturated GPU",
    ),
    pytest.param(
        spending.saturated,
        facts(NOT_MERGING, watched(request_ms=200, queue_ms=5, infer_ms=190, batches=BUSY)),
        None,
        "busy, but nobody waits",
        id="just busy enough",
    ),
    pytest.param(
        spending.saturated,
        facts(DETECTION, asked=DETECTION),
        None,
        "nothing was executed",
        id="nothing was seen",
    ),
    pytest.param(
        spending.waits_though_free,
        facts(traffic=watched(request_ms=100, queue_ms=60, infer_ms=40, batches={1: (100, 40.0)})),
        Severity.ADVICE,
        "20 % busy, and yet 60 % waiting",
        id="bursts",
    ),
    pytest.param(
        spending.waits_though_free,
        facts(
            setup(batching=Batching(60_000)),
            watched(request_ms=100, queue_ms=60, infer_ms=40, batches={1: (100, 40.0)}),
        ),
        None,
        "the delay explains it",
        id="waiting for the delay",
    ),
    pytest.param(
        spending.waits_for_the_pool,
        facts(probes=probes(decode_queue=20, decode=5, infer=30, nms_queue=5)),
        Severity.ADVICE,
        "25 of 60 ms",
        id="a busy pool",
    ),
    pytest.param(
        spending.waits_for_the_pool, facts(probes=probes(decode=5, infer=30)), None, "no waiting", id="an idle pool"
    ),
    pytest.param(
        spending.waits_for_the_pool,
        facts(NOT_MERGING, watched(batches=BUSY), probes=probes(decode_queue=20, decode=5, infer=30)),
        None,
        "the instances are what they wait for",
        id="a pool behind busy instances",
    ),
    pytest.param(
        spending.decoding_dominates,
        facts(asked=DETECTION, probes=probes(decode=60, letterbox=5, infer=30)),
        Severity.ADVICE,
        "65 of 95 ms, as probes were told",
        id="large pictures",
    ),
    pytest.param(
        spending.decoding_dominates,
        facts(asked=DETECTION, traffic=watched(request_ms=100, input_ms=60, infer_ms=30)),
        Severity.ADVICE,
        "60 of 100 ms, as the statistics say",
        id="large pictures, without probes",
    ),
    pytest.param(
        spending.decoding_dominates,
        facts(traffic=watched(request_ms=100, input_ms=60, infer_ms=30)),
        None,
        "a raw model decodes nothing",
        id="a raw model's input",
    ),
    pytest.param(
        spending.suppression_dominates,
        facts(asked=DETECTION, probes=probes(decode=5, infer=30, nms=20)),
        Severity.ADVICE,
        "20 of 55 ms",
        id="too many boxes",
    ),
    pytest.param(
        spending.suppression_dominates, facts(asked=DETECTION, probes=probes(infer=30, nms=2)), None, "2 of 32 ms",
        id="few boxes",
    ),
    pytest.param(
        spending.moving_tensors, facts(probes=probes(receive=4, infer=10, network=6)), Severity.ADVICE,
        "4.9 MB, half of the time", id="large tensors",
    ),
    pytest.param(
        spending.moving_tensors, facts(setup(inputs=FREE), probes=probes(receive=4, infer=10, network=6)), None,
        "nobody knows how large", id="free sizes have no size",
    ),
    pytest.param(
        spending.network_dominates,
        facts(asked=DETECTION, probes=probes(infer=10, network=20)),
        Severity.NOTE,
        "20 of 30 ms are not the server's",
        id="a slow network",
    ),
    pytest.param(
        spending.network_dominates, facts(asked=DETECTION, probes=probes(infer=30, network=2)), None, "a fast network",
        id="a fast network",
    ),
    pytest.param(
        spending.inference_dominates, facts(probes=probes(infer=30, encode=1)), Severity.NOTE, "30 of 31 ms",
        id="the network is what takes time",
    ),
    pytest.param(
        spending.inference_dominates, facts(probes=probes(infer=10, queue=30)), None, "10 of 40 ms",
        id="waiting is what takes time",
    ),
    pytest.param(
        spending.instances_idle, facts(NOT_MERGING, watched(batches={1: (100, 50.0)})), Severity.ADVICE,
        "one request at a time for two instances", id="one client for two instances",
    ),
    pytest.param(
        spending.instances_idle, facts(NOT_MERGING, watched(request_ms=400, batches={1: (100, 50.0)})), None,
        "four at a time", id="four clients for two instances",
    ),
    pytest.param(
        spending.instances_idle, facts(setup(batching=None, instances=1), watched()), None, "there is only one",
        id="one client for one instance",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "known", "severity", "reason"), ROWS)
def test_a_rule_speaks_when_it_should(rule: Rule, known: Facts, severity: Severity | None, reason: str) -> None:
    finding = rule(known)
    assert (finding and finding.severity) == severity, reason
    if finding is not None:
        assert finding.seen
        assert finding.why
        assert finding.change or finding.severity is Severity.NOTE, "whoever gives advice says what to do"


def test_every_rule_has_a_row_in_which_it_speaks_and_one_in_which_it_is_silent() -> None:
    spoken = {row.values[0] for row in ROWS if row.values[2] is not None}
    silent = {row.values[0] for row in ROWS if row.values[2] is None}
    assert set(RULES) == spoken
    assert set(RULES) == silent


def test_figures_are_in_what_was_seen() -> None:
    finding = spending.saturated(facts(NOT_MERGING, watched(request_ms=800, queue_ms=600, infer_ms=190, batches=BUSY)))
    assert finding is not None
    assert "(2) are busy 95%" in finding.seen
    assert "75% of its time (600.0 ms)" in finding.seen
    assert "10 rows a second" in finding.why
    assert "pasarela-server tune --model raw" in finding.change


@pytest.mark.parametrize(
    ("asked", "advised"),
    [
        pytest.param(DETECTION, True, id="the server could decode smaller"),
        pytest.param(replace(DETECTION, jpeg_margin="2"), False, id="it does already"),
        pytest.param(setup(), False, id="a raw model has no such parameter"),
    ],
)
def test_decoding_smaller_is_advised_where_a_parameter_does_it(asked: Setup, advised: bool) -> None:
    finding = spending.decoding_dominates(facts(asked=asked, probes=probes(decode=60, letterbox=5, infer=30)))
    assert finding is not None
    assert ("jpeg_margin" in finding.change) is advised


def test_the_worst_comes_first_and_nothing_known_is_no_failure() -> None:
    known = facts(NOT_MERGING, watched(request_ms=800, queue_ms=600, infer_ms=190, batches=BUSY, failed=1))
    severities = [list(Severity).index(finding.severity) for finding in diagnose(known)]
    assert severities == sorted(severities)
    assert [finding.rule for finding in diagnose(known)][:2] == ["failures", "saturated"]
    assert [finding.rule for finding in diagnose(Facts(Setup("m"), Setup("m")))] == [
        "no-statistics",
        "one-row-at-a-time",
    ]


def test_requests_of_both_models_count_as_in_the_server() -> None:
    raw = watched(requests=50, request_ms=200)
    known = facts(setup(), watched(requests=100, request_ms=100), asked=DETECTION, executed=raw)
    assert known.concurrency == pytest.approx(1.0 + 1.0)
    assert replace(known, asked=known.runs).concurrency == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spec", "max_batch_size", "size"),
    [
        pytest.param(TensorSpec("x", "FP32", (-1, 3, 640, 640)), 8, 3 * 640 * 640 * 4, id="a row"),
        pytest.param(TensorSpec("x", "UINT8", (2, 3)), 0, 6, id="no batch dimension"),
        pytest.param(TensorSpec("x", "FP32", (-1, 3, -1, -1)), 8, 0, id="free sizes"),
        pytest.param(TensorSpec("x", "BYTES", (-1, 1)), 8, 0, id="elements of any size"),
    ],
)
def test_the_size_of_an_input(spec: TensorSpec, max_batch_size: int, size: int) -> None:
    assert setup(inputs=(spec,), max_batch_size=max_batch_size).input_bytes == size
