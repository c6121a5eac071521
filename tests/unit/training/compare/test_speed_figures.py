"""Percentiles, ratios, order of rounds, table, picture, machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pasarela_training.compare.figures import HEADER, Round, base_variant, percentile, ratios, rotated, rows, table
from pasarela_training.compare.picture import Point, draw_comparison
from pasarela_training.compare.speed import rate
from pasarela_training.machine import describe_machine, processor


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),  # reason: a single value is every percentile
        ([3.0, 1.0, 2.0], 0.5, 2.0),  # reason: values come in any order
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),  # reason: half of four are two
        (list(range(1, 101)), 0.99, 99),  # reason: the hundredth is above the 99th percentile
        (list(range(1, 41)), 0.99, 40),  # reason: of 40 values the largest
    ],
)
def test_percentile(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_percentile_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_ratios_are_taken_round_by_round() -> None:
    found = ratios([20.0, 2.0, 9.0], [10.0, 1.0, 3.0])
    assert (found.median, found.low, found.high) == (2.0, 2.0, 3.0)


def test_each_variant_comes_first_in_turn() -> None:
    assert [rotated(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_base_is_pytorch_or_the_first() -> None:
    assert base_variant(["onnx", "pytorch"]) == "pytorch"
    assert base_variant(["onnx", "openvino"]) == "onnx"


def test_table() -> None:
    slow, fast = Round(10, 11, 12, 9, 100, 110), Round(5, 6, 7, 4, 300, 330)
    lines = table(rows({"pytorch": "P", "onnx": "O"}, {"onnx": 0.5}, {"pytorch": [slow], "onnx": [fast]}))
    assert len({line.count("|") for line in lines}) == 1
    assert len(HEADER) == lines[0].count("|") - 1
    assert "| O | 0.5000 |" in lines[3]
    assert "| 2.00 (2.00–2.00) | 3.00 (3.00–3.00) |" in lines[3]


def test_rate_counts_and_hands_errors_on() -> None:
    assert rate([len, len], [b"a", b"b"], 0.02) > 0

    def broken(image: bytes) -> None:
        raise ValueError(image)

    with pytest.raises(ValueError, match="a"):
        rate([broken, len], [b"a"], 5.0)


def test_picture_of_one_variant(tmp_path: Path) -> None:
    draw_comparison([Point("ONNX", 0.5, 12.0, 80.0)], tmp_path / "compare.png")
    with Image.open(tmp_path / "compare.png") as picture:
        assert picture.width > 1000


def test_machine(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU: 2 GHz\n")
    assert processor(tmp_path / "cpuinfo") == "Some CPU: 2 GHz"
    assert describe_machine(tmp_path / "missing")["processor"]
