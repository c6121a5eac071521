import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_client import Detections, FrameError, QueueFull, Timings
from pasarela_client.exports import open_export, read_json_lines
from tests.unit.client.made_results import make_found, results

ERRORS = st.builds(
    FrameError,
    frame_index=st.integers(0, 2**62),
    error=st.builds(QueueFull, st.text(), model=st.sampled_from(["", "garments"])),
    origin=st.text(max_size=8),
    timestamp_s=st.none() | st.floats(0, 2e9),
)


@settings(max_examples=25)
@given(st.lists(results(most=3) | ERRORS, max_size=5))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, found: list[Detections | FrameError]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "found.jsonl"
    with open_export(path) as export:
        for result in found:
            export.add(result)
    assert list(read_json_lines(path)) == found
    path.read_text("utf-8")


def test_a_line_each_and_an_error_is_a_line_too(tmp_path: Path) -> None:
    path = tmp_path / "found.ndjson"
    with open_export(path) as export:
        export.add(make_found(origin="a.jpg"))
        export.add(FrameError(1, QueueFull("too much"), origin="b.jpg"))
        export.add(make_found([], image="c.jpg"))
    assert (export.frames, export.failed, export.detections) == (3, 1, 2)
    first, second, third = map(json.loads, path.read_text().splitlines())
    assert (first["origin"], len(first["detections"])) == ("a.jpg", 2)
    assert second == {"origin": "b.jpg", "frame_index": 1, "error": {"kind": "QueueFull", "message": "too much"}}
    assert (third["origin"], third["detections"]) == ("c.jpg", [])


def test_timings_on_demand(tmp_path: Path) -> None:
    found = make_found(timings=Timings(total_ns=9, infer_ns=5))
    for timings in (False, True):
        path = tmp_path / f"{timings}.jsonl"
        with open_export(path, timings=timings) as export:
            export.add(found)
        (again,) = read_json_lines(path)
        assert isinstance(again, Detections)
        assert again.timings == (found.timings if timings else Timings())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n{}\n", "found.jsonl:2: this is no result"),
        ("3\n", "found.jsonl:1: a result is a JSON object, not int"),
        ('{"x', "found.jsonl:1: "),
    ],
    ids=["no result", "no object", "cut short"],
)
def test_a_line_that_is_no_result_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "found.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        list(read_json_lines(path))
