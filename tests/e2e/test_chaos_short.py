"""The rows of `make chaos` that take seconds, each against a server under load; and what the table is made of."""

import re
from pathlib import Path

import grpc
import pytest

from tests.chaos.page import BEGIN, END, Measured, render, write_page
from tests.chaos.row import Fault, Outcome
from tests.chaos.table import FAULTS
from tests.chaos.tally import Came, Counts, Tally, came_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.short], ids=lambda fault: fault.name)
def test_nothing_is_lost(fault: Fault, tmp_path: Path) -> None:
    outcome = fault.run(tmp_path)
    assert outcome.problems == ()
    assert outcome.counts.lost == outcome.counts.wrong == 0


class _Ended(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: str = "", told: bool = False) -> None:
        self.code = lambda: code
        self.details = lambda: details
        self.trailing_metadata = lambda: (("pasarela-error", "QueueFull"),) if told else None


@pytest.mark.parametrize(
    ("error", "came"),
    [
        (_Ended(grpc.StatusCode.UNAVAILABLE, "full", told=True), Came.REFUSED),  # reason: the server says so
        (_Ended(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses"), Came.REFUSED),  # reason: not sent
        (_Ended(grpc.StatusCode.UNAVAILABLE, "Socket closed"), Came.FAILED),  # reason: nobody knows how far it came
        (_Ended(grpc.StatusCode.INTERNAL, "failed", told=True), Came.FAILED),  # reason: it was worked on
        (_Ended(grpc.StatusCode.DEADLINE_EXCEEDED), Came.LOST),  # reason: nobody said anything
    ],
)
def test_what_came_of_a_call(error: grpc.RpcError, came: Came) -> None:
    assert came_of(error) is came


def test_what_nobody_speaks_of_is_lost() -> None:
    tally = Tally()
    for came in (Came.ANSWERED, Came.ANSWERED, Came.REFUSED, Came.FAILED, Came.LOST, None):
        tally.send()
        if came is not None:
            tally.end(came)
    assert tally.counts() == Counts(sent=6, answered=2, refused=1, failed=1, wrong=0)
    assert tally.counts().lost == 2


def test_the_page_is_written_between_its_markers(tmp_path: Path) -> None:
    fault = Fault("x", "a | b", "nothing", lambda folder: Outcome(Counts(), 0))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_page(page, [Measured(fault, Outcome(Counts(5, 3, 1, 1, 0), 1.25), seconds=1.0)])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| a \\| b | nothing | 1.25 s | 5 | 3 | 1 | 1 | 0 | 0 |" in text
    page.write_text("no markers")
    with pytest.raises(ValueError, match="markers"):
        write_page(page, [])


def test_the_page_has_every_row() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    table = page[page.index(BEGIN) : page.index(END)]
    written = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]
    expected = re.findall(
        r"^\| (.+?) \|", render([Measured(fault, None, absent="-") for fault in FAULTS]), re.MULTILINE
    )[1:]
    assert written == expected, "make chaos ARGS='--page docs/reliability.md'"
    assert "not as promised" not in table
