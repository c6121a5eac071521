"""CSV and Parquet, read by the standard library, pandas and pyarrow."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_client import Detections, FrameError, MissingExtra, QueueFull
from pasarela_client.exports import open_export
from pasarela_client.exports.parquet_table import ROW_GROUP
from pasarela_client.exports.rows import COLUMNS
from tests.unit.client.made_results import make_found, results

EDGES = ["left", "top", "right", "bottom"]
FOUND: list[Any] = [
    make_found(origin='a,"b"\n/größer.jpg'),
    make_found([], origin="nothing.jpg"),
    FrameError(2, QueueFull("too much", model="garments"), origin="bad.jpg"),
    make_found(origin="c.mp4", frame_index=3, timestamp_s=0.12),
]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".pq"])
def test_a_row_a_detection_and_a_row_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"found{suffix}"
    with open_export(path) as export:
        for result in FOUND:
            export.add(result)
    table = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert tuple(table.columns) == COLUMNS
    assert table["origin"].tolist() == [FOUND[0].origin] * 2 + ["bad.jpg"] + ["c.mp4"] * 2
    assert table["error"].dropna().tolist() == ["QueueFull: too much"]
    good = table[table["error"].isna()]
    assert good["name"].tolist() == ["skirt", "trousers"] * 2
    assert (good[EDGES].to_numpy() == np.concatenate([FOUND[0].boxes] * 2)).all()
    assert good["frame_index"].tolist()[2:] == [3, 3]
    assert good["timestamp_s"].tolist()[2:] == [0.12, 0.12]
    assert set(good["width"]) == {640}
    assert set(table["model"]) == {"garments"}


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])  # reason: each ends a line for some reader
def test_a_name_may_hold_ends_of_lines(tmp_path: Path, end: str) -> None:
    path = tmp_path / "found.csv"
    with open_export(path) as export:
        export.add(FrameError(0, QueueFull("too much"), origin=f"a{end}b.jpg"))
    (row,) = read_csv(path)
    assert row["origin"] == f"a{end}b.jpg"


@settings(max_examples=25)
@given(st.lists(results(most=3), max_size=4))
def test_csv_holds_every_value_exactly(tmp_path_factory: pytest.TempPathFactory, found: list[Detections]) -> None:
    path = tmp_path_factory.mktemp("csv") / "found.csv"
    with open_export(path) as export:
        for result in found:
            export.add(result)
    rows = iter(read_csv(path))
    for result in found:
        for box, score, name in zip(result.boxes, result.scores, result.names, strict=True):
            row = next(rows)
            assert [np.float32(row[edge]) for edge in EDGES] == box.tolist()
            assert np.float32(row["score"]) == score
            assert row["name"] == name
            assert row["origin"] == result.origin.replace("\udcff", "\\udcff")
            assert row["frame_index"] == ("" if result.frame_index is None else str(result.frame_index))
    assert next(rows, None) is None


@settings(max_examples=25)
@given(st.lists(results(most=3), max_size=4))
def test_parquet_holds_every_value_exactly(tmp_path_factory: pytest.TempPathFactory, found: list[Detections]) -> None:
    path = tmp_path_factory.mktemp("parquet") / "found.parquet"
    with open_export(path) as export:
        for result in found:
            export.add(result)
    rows = iter(pq.read_table(path).to_pylist())
    for result in found:
        for box, score, name in zip(result.boxes, result.scores, result.names, strict=True):
            row = next(rows)
            assert [row[edge] for edge in EDGES] == box.tolist()
            assert (row["score"], row["name"], row["frame_index"]) == (score, name, result.frame_index)
            assert row["origin"] == (result.origin.replace("\udcff", "\\udcff") or None)
    assert next(rows, None) is None


def test_types_of_the_columns(tmp_path: Path) -> None:
    with open_export(tmp_path / "found.parquet") as export:
        export.add(FOUND[1])
    schema = pq.read_schema(tmp_path / "found.parquet")
    assert schema.names == list(COLUMNS)
    assert {schema.field(name).type for name in (*EDGES, "score")} == {pa.float32()}
    assert schema.field("frame_index").type == pa.int64()
    assert schema.field("name").type == pa.string()


def test_many_rows_are_written_in_groups(tmp_path: Path) -> None:
    crowd = make_found([[0, 0, 1, 1]] * 1000)
    with open_export(tmp_path / "found.parquet") as export:
        for _ in range(70):
            export.add(crowd)
    file = pq.ParquetFile(tmp_path / "found.parquet")
    assert file.metadata.num_rows == 70_000
    assert file.num_row_groups == 3
    assert file.metadata.row_group(0).num_rows < ROW_GROUP + 1000
    file.close()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_no_results_are_a_table_too(tmp_path: Path, suffix: str) -> None:
    path = open_export(tmp_path / f"found{suffix}").close()
    table: Any = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 0


def test_without_pyarrow_the_command_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pasarela-client\[parquet\]'"):
        open_export(tmp_path / "found.parquet")
    assert not list(tmp_path.iterdir())
