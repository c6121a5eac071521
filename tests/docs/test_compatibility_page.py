"""docs/compatibility.md lists exactly what the tests declare: whoever adds a test makes the page anew."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.matrix import NOT_OFFERED, NOT_RUN, WORKS, Cell, page, read_page, said

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    """What all tests of this folder declare, whichever were chosen to run now: (feature, client) → outcome."""
    cells = tmp_path_factory.mktemp("cells") / "cells.json"
    command = [sys.executable, "-m", "pytest", "tests/interop", "--collect-only", "-q", "--compatibility-cells", cells]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    return {(feature, client): outcome for feature, client, outcome in json.loads(cells.read_text())}


@pytest.fixture(scope="module")
def listed():
    return read_page((ROOT / "docs" / "compatibility.md").read_text())


def test_the_page_lists_exactly_the_declared_cells(declared, listed):
    assert listed.keys() == declared.keys(), "run: make compatibility"


def test_each_cell_says_what_its_tests_show(declared, listed):
    wrong = {place: (text, declared[place]) for place, text in listed.items() if text not in (declared[place], NOT_RUN)}
    assert wrong == {}, "run: make compatibility"


@pytest.mark.parametrize(
    ("reports", "text"),
    [
        pytest.param(["passed", "passed"], NOT_OFFERED, id="all of its tests passed"),
        pytest.param([], NOT_RUN, id="declared, but no test ran"),
        pytest.param(["passed", "skipped"], NOT_RUN, id="one did not run, so that nothing is shown"),
    ],
)
def test_a_cell_says_no_more_than_its_tests_showed(reports, text):
    assert said(Cell("grpcurl", "streaming", NOT_OFFERED), reports) == text


def test_a_page_can_be_read_back():
    cells = {
        Cell("grpcurl", "streaming"): WORKS,
        Cell("grpcurl", "reflection"): NOT_RUN,
        Cell("KServe", "streaming", NOT_OFFERED): NOT_OFFERED,
    }
    assert read_page(page(cells)) == {cell.place: text for cell, text in cells.items()}


@pytest.mark.parametrize(
    ("client", "feature", "outcome"),
    [
        pytest.param("curl", "streaming", WORKS, id="a client that peers.py does not know"),
        pytest.param("grpcurl", "dancing", WORKS, id="a feature that has no row"),
        pytest.param("grpcurl", "streaming", "perhaps", id="neither works, nor refused, nor not offered"),
    ],
)
def test_misspelt_cells_are_refused(client, feature, outcome):
    with pytest.raises(ValueError, match="no such"):
        Cell(client, feature, outcome)
