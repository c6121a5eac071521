"""What figures say to the bars."""

import pytest

from loadtest.benchmark.bars import BARS, by_best_of, identity_by_echo, memory_growth, peak_memory, verdicts
from loadtest.benchmark.figures import Figures, Taken
from loadtest.benchmark.measurements.registry import ALL
from loadtest.benchmark.results import Entry
from loadtest.benchmark.spread import Spread

CONDITIONS = {"cpu": "x"}

GOOD: dict[str, Taken] = {
    "jpeg": {
        "y_openvino": {"server_16": [96.0], "pipeline": [100.0], "server_1_p50_ms": [11.0], "alone_p50_ms": [10.0]},
        "y_int8": {"server_16": [130.0]},
    },
    "raw": {
        "y_openvino": {"shared_4": [93.0], "plain_4": [80.0], "bare": [100.0]},
        "y_onnx": {"shared_4": [96.0], "plain_4": [90.0], "bare": [100.0]},
    },
    "tail": {"y_openvino": {"even_p50_ms": [50.0], "even_p99_ms": [75.0]}},
    "overload": {"y_openvino": {"saturated": [30.0], "goodput": [29.0], "longest_refusal_ms": [20.0]}},
    "start": {"y_openvino": {"ready_s": [1.2]}},
    "memory": {"y_openvino": {"resident_mb": [200.0] + [300.0] * 40}},
    "tiny": {"pasarela": {"requests_16": [70.0]}, "echo_threads": {"requests_16": [80.0]}, "echo_asyncio": {"requests_16": [100.0]}},
    "peers": {
        "pasarela": {"images_16": [30.0], "images_1_p50_ms": [25.0]},
        "triton a": {"images_16": [20.0], "images_1_p50_ms": [50.0]},
        "mlserver a": {"images_16": [20.0], "images_1_p50_ms": [50.0]},
    },
}  # fmt: skip

BAD: dict[str, Taken] = {
    "jpeg": {
        "y_openvino": {"server_16": [94.0], "pipeline": [100.0], "server_1_p50_ms": [12.0], "alone_p50_ms": [10.0]},
        "y_int8": {"server_16": [110.0]},
    },
    "raw": {
        "y_openvino": {"shared_4": [91.0], "plain_4": [70.0], "bare": [100.0]},
        "y_onnx": {"shared_4": [94.0], "plain_4": [87.0], "bare": [100.0]},
    },
    "tail": {"y_openvino": {"even_p50_ms": [50.0], "even_p99_ms": [101.0]}},
    "overload": {"y_openvino": {"saturated": [30.0], "goodput": [26.0], "longest_refusal_ms": [51.0]}},
    "start": {"y_openvino": {"ready_s": [1.6]}},
    "memory": {"y_openvino": {"resident_mb": [200.0] + [300.0 + 2 * look for look in range(40)]}},
    "tiny": {"pasarela": {"requests_16": [59.0]}, "echo_threads": {"requests_16": [100.0]}, "echo_asyncio": {"requests_16": [80.0]}},
    "peers": {
        "pasarela": {"images_16": [22.0], "images_1_p50_ms": [25.0]},
        "triton a": {"images_16": [20.0], "images_1_p50_ms": [40.0]},
        "mlserver a": {"images_16": [20.0], "images_1_p50_ms": [50.0]},
    },
}  # fmt: skip


def entry(taken: Taken, *, complete: bool = True) -> Entry:
    return Entry(complete, "2026-01-01", 5, 3.0, CONDITIONS, (), taken)


@pytest.mark.parametrize(("taken", "met"), [(GOOD, True), (BAD, False)], ids=["a little better", "a little worse"])
def test_every_bar_tells_better_from_worse(taken: dict[str, Taken], met: bool) -> None:
    found = verdicts({name: entry(one) for name, one in taken.items()})
    wrong = [verdict.bar.what for verdict in found if verdict.met is not met]
    assert wrong == []


def test_every_bar_is_of_a_measurement_that_there_is() -> None:
    assert {bar.measurement for bar in BARS} <= set(ALL)


@pytest.mark.parametrize(
    "results",
    [
        pytest.param({}, id="nothing was measured"),
        pytest.param({name: entry(one, complete=False) for name, one in GOOD.items()}, id="every run was stopped"),
        pytest.param({name: entry({}) for name in GOOD}, id="nothing in it"),
    ],
)
def test_what_was_not_measured_is_neither_met_nor_missed(results: dict[str, Entry]) -> None:
    assert {verdict.met for verdict in verdicts(results)} == {None}


def test_the_median_decides() -> None:
    taken: Taken = {"y_openvino": {"ready_s": [1.4, 9.0, 1.5]}}
    (verdict,) = [one for one in verdicts({"start": entry(taken)}) if one.bar.measurement == "start"]
    assert (verdict.value, verdict.met) == (Spread(1.5, 1.4, 9.0), True)


def test_a_peer_is_taken_at_its_best() -> None:
    taken = Figures(
        {
            "pasarela": {"images_16": [30.0, 30.0], "images_1_p50_ms": [20.0, 20.0]},
            "triton slow": {"images_16": [10.0, 10.0], "images_1_p50_ms": [40.0, 40.0]},
            "triton fast": {"images_16": [20.0, 25.0], "images_1_p50_ms": [80.0, 80.0]},
            "mlserver": {"images_16": [29.0, 29.0]},
        }
    )
    assert by_best_of("triton", "images_16")(taken) == Spread(1.35, 1.2, 1.5)
    assert by_best_of("triton", "images_1_p50_ms")(taken) == Spread(0.25, 0.25, 0.25), "one set-up answers for both"


def test_the_faster_echo_server_is_the_measure() -> None:
    taken = Figures(
        {
            "pasarela": {"requests_16": [50.0]},
            "echo_threads": {"requests_16": [60.0]},
            "echo_asyncio": {"requests_16": [100.0]},
        }
    )
    assert identity_by_echo(taken) == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("looks", "growth"),
    [
        pytest.param([50.0] + [200.0] * 40, 0.0, id="what the first requests take is no growth"),
        pytest.param([50.0] + [200.0] * 20 + [210.0] * 20, 10.0, id="a step"),
        pytest.param([50.0, 100.0], None, id="too few looks to tell"),
    ],
)
def test_growth_compares_early_with_late(looks: list[float], growth: float | None) -> None:
    found = memory_growth(Figures({"m": {"resident_mb": looks}}))
    assert (None if found is None else found.median) == growth


def test_memory_is_the_largest_that_was_seen() -> None:
    found = peak_memory(Figures({"m": {"resident_mb": [50.0, 200.0, 260.0, 220.0]}}))
    assert found == Spread(260.0, 200.0, 260.0)
