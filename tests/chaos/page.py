"""The table of docs/reliability.md, between its markers; the text around it is people's."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc

from tests.chaos.row import Fault, Outcome

BEGIN = "<!-- chaos: begin. Written by `python -m tests.chaos --page docs/reliability.md`; text goes outside. -->"
END = "<!-- chaos: end -->"
TEST = "tests/e2e/test_chaos_short.py"


@dataclass(frozen=True, slots=True)
class Measured:
    """A fault, and what came of it."""

    fault: Fault
    outcome: Outcome | None
    problems: tuple[str, ...] = ()
    absent: str = ""
    """Why it was not done; empty if it was."""
    seconds: float = 0.0


def write_page(page: Path, measured: Sequence[Measured]) -> None:
    """Replaces what stands between the markers.

    Raises:
        ValueError: The page has no markers.
    """
    text = page.read_text(encoding="utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"{page} has no markers for the table: {BEGIN}")
    beside = page.with_name(f".{page.name}.{os.getpid()}")
    beside.write_text(text[: begin + len(BEGIN)] + "\n\n" + render(measured) + "\n" + text[end:], encoding="utf-8")
    beside.replace(page)


def render(measured: Sequence[Measured]) -> str:
    """The table and its conditions, as Markdown. Pure but for what the machine is."""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {_machine()}; clients and server on the same cores.",
        "",
        "| fault | what clients see | until healthy | sent | answered | refused | failed | lost | wrong | remarks | tried by |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(each) for each in measured]
    return "\n".join(lines) + "\n"


def _line(each: Measured) -> str:
    fault = each.fault
    tried = f'`make chaos ARGS="--only {fault.name}"`' + (f", `{TEST}`" if fault.short else "")
    if each.outcome is None:
        figures = [each.absent or f"**not as promised**: {each.problems[0]}", *["–"] * 7]
    else:
        counts = each.outcome.counts
        healthy = f"{each.outcome.recover_s:.2f} s" if each.outcome.recover_s else "at once"
        numbers = (counts.sent, counts.answered, counts.refused, counts.failed, counts.lost, counts.wrong)
        remarks = [*each.outcome.remarks, *(f"**not as promised**: {problem}" for problem in each.problems)]
        figures = [healthy, *(f"{number:,}" for number in numbers), "; ".join(remarks)]
    cells = [fault.what, fault.sees, *figures, tried]
    return "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |"


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"grpcio {grpc.__version__}"
    )
