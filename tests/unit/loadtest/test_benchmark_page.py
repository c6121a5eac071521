"""The measured section of a page, the results file and the picture."""

import json
from pathlib import Path

import pytest

from loadtest.benchmark.__main__ import finished, publish
from loadtest.benchmark.figures import Figures, Taken
from loadtest.benchmark.page import BEGIN, END, measured_section, put_into, shown, update_page
from loadtest.benchmark.picture import draw
from loadtest.benchmark.results import Entry, UnreadableResults, read_results, write_results
from loadtest.benchmark.spread import Spread

CONDITIONS = {
    "cpu": "Some CPU",
    "instructions": ["avx2"],
    "cores": 2,
    "memory_gb": 24,
    "system": "Linux x86_64",
    "python": "3.11.7",
    "packages": {"openvino": "2026.4"},
    "images": "6 JPEG pictures",
    "generator": "perf_analyzer",
    "busy_before": 0.1,
}
JPEG: Taken = {
    "y_openvino": {
        "network": [40.0, 42.0, 44.0],
        "pipeline": [30.0, 32.0, 40.0],
        "server_16": [30.0, 31.0, 36.0],
        "server_1": [20.0, 21.0, 22.0],
        "server_1_p50_ms": [48.0, 49.0, 50.0],
        "server_1_p99_ms": [60.0, 61.0, 62.0],
    }
}


def entry(taken: Taken = JPEG, *, complete: bool = True, rounds: int = 5, **conditions: object) -> Entry:
    return Entry(complete, "2026-01-02", rounds, 3.0, {**CONDITIONS, **conditions}, ("y_openvino: f32",), taken)


def row(page: str, begin: str) -> list[str]:
    (found,) = [line for line in page.splitlines() if line.startswith(f"| {begin}")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_section_has_bars_tables_and_conditions() -> None:
    page = measured_section({"jpeg": entry()}, "images/performance.svg")
    assert page.startswith(BEGIN)
    assert page.endswith(END)
    assert row(page, "images, 16 clients, OpenVINO ÷ the same")[2:] == ["≥ 0.95", "0.97 (0.90–1.00)", "met"]
    assert row(page, "INT8")[2:] == ["≥ 1.25", "–", "not measured"]
    assert row(page, "y_openvino | – | 42")[1:] == ["–", "42.0", "32.0", "21.0", "31.0", "0.97 (0.90–1.00)", "–"]
    assert "Some CPU (avx2), 2 cores, 24 GB" in page
    assert "openvino 2026.4" in page
    assert "- y_openvino: f32" in page
    assert "](images/performance.svg)" in page
    assert "not idle" not in page
    assert "## Memory" not in page, "what was not measured has no section"


def test_a_busy_machine_is_told() -> None:
    assert "something else kept 1.5 cores busy" in measured_section({"jpeg": entry(busy_before=1.5)})


def test_a_missed_bar_stands_out() -> None:
    taken: Taken = {"y_openvino": {"server_16": [10.0], "pipeline": [20.0]}}
    assert row(measured_section({"jpeg": entry(taken)}), "images, 16 clients, OpenVINO ÷")[-1] == "**not met**"


@pytest.mark.parametrize(
    ("spread", "text"),
    [
        pytest.param(None, "–", id="nothing"),
        pytest.param(Spread(1.0, 1.0, 1.0), "1.00", id="one value"),
        pytest.param(Spread(1.0, 0.5, 1.25), "1.00 (0.50–1.25)", id="median, smallest and largest"),
        pytest.param(Spread(1.001, 1.0, 1.002), "1.00", id="a spread that rounds away"),
    ],
)
def test_spreads_are_shown(spread: Spread | None, text: str) -> None:
    assert shown(spread) == text


def test_what_stands_around_the_section_stays() -> None:
    page = put_into("# Title\n\nBy hand.\n", f"{BEGIN}\nold\n{END}")
    assert page.splitlines()[0] == "# Title"
    assert "By hand." in page
    again = put_into(page, f"{BEGIN}\nnew\n{END}")
    assert again == page.replace("old", "new")


@pytest.mark.parametrize("broken", [f"# T\n{BEGIN}\n", f"# T\n{END}\n", f"# T\n{END}\n{BEGIN}\n"])
def test_a_page_with_half_a_section_is_left_alone(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(broken)
    with pytest.raises(ValueError, match="put the missing one back"):
        update_page(path, f"{BEGIN}\n{END}")
    assert path.read_text() == broken


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "performance.json"
    write_results(path, {"jpeg": entry()})
    assert read_results(path) == {"jpeg": entry()}
    assert [one.name for one in path.parent.iterdir()] == ["performance.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"jpeg": 1}', '{"jpeg": {}}', '{"jpeg": {"notes": [], "speed": 1}}'])
def test_other_files_are_no_results(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UnreadableResults, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_a_measurement_takes_the_place_of_its_earlier_self_only(tmp_path: Path) -> None:
    assert publish({"jpeg": entry(), "start": entry({"y_openvino": {"ready_s": [1.0]}})}, tmp_path) == 0
    assert publish({"start": entry({"y_openvino": {"ready_s": [2.0]}})}, tmp_path) == 0
    written = read_results(tmp_path / "performance.json")
    assert set(written) == {"jpeg", "start"}
    page = (tmp_path / "performance.md").read_text()
    assert row(page, "start until ready")[2:] == ["≤ 1.5 s", "2.00 s", "**not met**"]
    assert (tmp_path / "images/performance.svg").read_text().lstrip().startswith("<?xml")


def test_a_stopped_measurement_is_not_published(tmp_path: Path) -> None:
    assert finished({"jpeg": entry(complete=False)}) == {}
    assert publish({}, tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_same_figures_make_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        draw(Figures(JPEG), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_results_hold_no_more_digits_than_clocks_have(tmp_path: Path) -> None:
    path = tmp_path / "performance.json"
    write_results(path, {"jpeg": entry({"m": {"q": [1 / 3]}})})
    assert json.loads(path.read_text())["jpeg"]["taken"] == {"m": {"q": [0.333333]}}
