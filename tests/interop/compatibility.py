"""What pytest does for the matrix: leaves out tests whose client is not here, and writes down what each cell showed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.interop.matrix import Cell, page, said
from tests.interop.peers import PEERS


def add_options(parser: pytest.Parser) -> None:
    """Options of `make compatibility` and of the test that compares the page with the tests."""
    group = parser.getgroup("compatibility")
    group.addoption(
        "--compatibility-page", metavar="FILE", help="write the matrix of clients and features, if all passed"
    )
    group.addoption("--compatibility-cells", metavar="FILE", help="write the cells that tests declare, as JSON")


class Recorder:
    """Declared cells, and the reports of their tests. One per session."""

    def __init__(self, config: pytest.Config) -> None:
        self._page: str | None = config.getoption("--compatibility-page", None)
        self._cells: str | None = config.getoption("--compatibility-cells", None)
        self._reports: dict[Cell, list[str]] = defaultdict(list)
        self._absent: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Declares the cells; deselects tests of clients that are not here."""
        cells = {item: cells_of(item) for item in items}
        for cell in (cell for found in cells.values() for cell in found):
            self._reports[cell] = []
        places = [cell.place for cell in self._reports]
        doubtful = {place for place in places if places.count(place) > 1}
        if doubtful:
            raise pytest.UsageError(f"tests disagree on the outcome of {sorted(doubtful)}")
        self._absent = {name for name in {cell.client for cell in self._reports} if PEERS[name].version() is None}
        left_out = [item for item in items if any(cell.client in self._absent for cell in cells[item])]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
        if self._cells is not None:
            Path(self._cells).write_text(json.dumps([[*cell.place, cell.outcome] for cell in sorted(self._reports)]))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Notes how a test of a cell ended."""
        report = yield
        if report.when == "call" or not report.passed:
            for cell in cells_of(item):
                self._reports[cell].append(report.outcome)
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Says what was left out, and writes the page if nothing failed."""
        if self._absent:
            terminalreporter.write_line(
                f"not run here, since the client is not there: {', '.join(sorted(self._absent))}"
            )
        if self._page is None:
            return
        if exitstatus != pytest.ExitCode.OK:
            terminalreporter.write_line(f"{self._page} stays as it was: not every test passed", red=True)
            return
        Path(self._page).write_text(page({cell: said(cell, reports) for cell, reports in self._reports.items()}))
        terminalreporter.write_line(f"{self._page}: {len(self._reports)} cells")


def cells_of(item: pytest.Item) -> list[Cell]:
    """The cells that a test shows; each only once, though a module and a function may both name it."""
    return list(dict.fromkeys(Cell(*mark.args, **mark.kwargs) for mark in item.iter_markers("compatible")))
