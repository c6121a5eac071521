"""Figures and predictions on disk, and figures as tables."""

from pathlib import Path

import pytest

from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.measured import RESULTS, Measured, read_measured, write_measured
from pasarela_training.evaluate.predictions import FOLDER, read_predictions, write_predictions
from pasarela_training.evaluate.scores import Result, Scores
from pasarela_training.evaluate.tables import class_table, figure_text, score_table

VAL = Scores(0.5, 0.75, 0.25, {"vest": 0.4, "sling": 0.6}, {"small": None, "medium": 0.1, "large": 0.9}, {"vest": 0.7})
TEST = Scores(0.25, 0.5, 0.125, {"vest": 0.25})
MEASURED = [
    Measured("onnx", "ONNX Runtime 1", 12.5, {"val": VAL, "test": TEST}),
    Measured("int8", "OpenVINO 2", 0.0, {"val": TEST}),
]
RESULT: Result = {"image_id": 4, "category_id": 9, "bbox": [1.5, 2.0, 10.0, 20.25], "score": 0.5}


def test_figures_come_back_as_they_were(tmp_path: Path) -> None:
    write_measured(tmp_path, MEASURED)
    assert read_measured(tmp_path) == MEASURED


@pytest.mark.parametrize(
    "text",
    [
        None,  # reason: not there
        "",  # reason: cut off at once
        '[{"variant": "onnx", "descr',  # reason: cut off midway
        "7",  # reason: JSON of another kind
        "[7]",  # reason: no figures in the list
        '[{"variant": "onnx", "description": "", "infer_ms": 1}]',  # reason: no splits
        '[{"variant": "onnx", "description": "", "infer_ms": 1, "splits": {"val": {"map": 1}}}]',  # reason: other keys
        '[{"variant": "onnx", "description": "", "infer_ms": 1, "splits": []}]',  # reason: splits of another kind
        '[{"variant": "onnx", "description": "", "infer_ms": 1, "splits": {"val": 1}}]',  # reason: a split that is none
        b"\xff\xfe",  # reason: no text
    ],
)
def test_figures_that_cannot_be_read_are_an_error(tmp_path: Path, text: str | bytes | None) -> None:
    if text is not None:
        (tmp_path / RESULTS).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(TrainingError, match=r"results\.json cannot be read .*; run the stage again"):
        read_measured(tmp_path)


@pytest.mark.parametrize("results", [[], [RESULT, RESULT | {"score": 0.25}]])
def test_predictions_come_back_as_they_were(tmp_path: Path, results: list[Result]) -> None:
    write_predictions(tmp_path, "onnx", "val", results)
    write_predictions(tmp_path, "onnx", "test", [RESULT])
    assert read_predictions(tmp_path, "onnx", "val") == results


def test_predictions_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"onnx-test\.json cannot be read.*run the evaluate stage again"):
        read_predictions(tmp_path, "onnx", "test")
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "onnx-test.json").write_text('[{"image_id"')
    with pytest.raises(TrainingError, match=r"onnx-test\.json cannot be read"):
        read_predictions(tmp_path, "onnx", "test")


def test_the_table_has_a_line_for_each_variant_and_split_and_a_dash_where_nothing_was_there() -> None:
    heading, rule, *lines = score_table(MEASURED)
    assert lines == [
        "| onnx | val | 0.5000 | 0.7500 | 0.2500 | – | 0.1000 | 0.9000 | ONNX Runtime 1 |",
        "| onnx | test | 0.2500 | 0.5000 | 0.1250 | – | – | – | ONNX Runtime 1 |",
        "| int8 | val | 0.2500 | 0.5000 | 0.1250 | – | – | – | OpenVINO 2 |",
    ]
    assert {line.count("|") for line in (heading, rule, *lines)} == {10}


@pytest.mark.parametrize(
    ("split", "lines"),
    [
        # reason: the classes are those of the first variant; another may lack one
        (
            "val",
            ["| class | onnx | int8 |", "|---|---|---|", "| vest | 0.4000 | 0.2500 |", "| sling | 0.6000 | – |"],
        ),
        ("test", ["| class | onnx |", "|---|---|", "| vest | 0.2500 |"]),  # reason: only who was measured on it
        ("train", []),  # reason: nobody was
    ],
)
def test_the_table_of_classes_has_a_column_for_each_variant(split: str, lines: list[str]) -> None:
    assert class_table(MEASURED, split) == lines


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (None, "–"),  # reason: nothing to measure
        (0.0, "0.0000"),  # reason: measured, and nothing found
        (0.87654321, "0.8765"),  # reason: four digits
        (1.0, "1.0000"),  # reason: all found
    ],
)
def test_figures_have_four_digits(figure: float | None, text: str) -> None:
    assert figure_text(figure) == text
