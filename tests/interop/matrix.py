"""The matrix of docs/compatibility.md: which client does what, as tests declare it and show it.

A test names its cell with a marker: `@pytest.mark.compatible("grpcurl", "streaming")`. What the cell says once all of
its tests have passed is `works`, or the marker's `outcome`. A cell whose tests did not run says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.interop.peers import PEERS

WORKS = "works"
REFUSED = "refused as Triton does"
NOT_OFFERED = "not offered"
OUTCOMES = (WORKS, REFUSED, NOT_OFFERED)
NOT_RUN = "not run here"
NO_CELL = "–"

FEATURES = (
    "liveness and readiness",
    "health service: Check",
    "health service: Watch",
    "reflection",
    "server metadata",
    "model metadata",
    "model configuration",
    "repository index",
    "inference on raw tensors",
    "inference on an encoded image",
    "typed detection",
    "prediction",
    "validation (mAP)",
    "suppression on the server",
    "requested outputs",
    "classification",
    "request parameters",
    "many requests at once",
    "messages above 4 MiB",
    "compression",
    "client timeout",
    "cancellation",
    "errors with status and message",
    "streaming",
    "errors within a stream",
    "final response of a stream",
    "stop of a stream",
    "statistics",
    "load and unload",
    "load with another configuration",
    "load with files",
    "load and unload without explicit control",
    "log settings",
    "trace settings",
    "system shared memory",
    "CUDA shared memory",
    "TLS",
    "mutual TLS",
    "bearer tokens",
    "restricted protocols",
)
"""Rows of the table, in their order."""


@dataclass(frozen=True, order=True)
class Cell:
    """One client's way with one feature."""

    client: str
    feature: str
    outcome: str = WORKS
    """What the cell says when all of its tests have passed."""

    def __post_init__(self) -> None:
        if self.client not in PEERS:
            raise ValueError(f"no such client: {self.client!r}; tests/interop/peers.py names them")
        if self.feature not in FEATURES:
            raise ValueError(f"no such feature: {self.feature!r}; tests/interop/matrix.py names them")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"no such outcome: {self.outcome!r}; expected one of {OUTCOMES}")

    @property
    def place(self) -> tuple[str, str]:
        """Row and column."""
        return self.feature, self.client


def said(cell: Cell, reports: Collection[str]) -> str:
    """What a cell says after its tests ended with these outcomes of pytest."""
    return cell.outcome if reports and set(reports) == {"passed"} else NOT_RUN


def page(cells: Mapping[Cell, str]) -> str:
    """The whole page, from what each cell says."""
    texts = {cell.place: text for cell, text in cells.items()}
    clients = [name for name in PEERS if any(name == cell.client for cell in cells)]
    features = [feature for feature in FEATURES if any(feature == cell.feature for cell in cells)]
    return "\n".join(
        [
            "# Compatibility",
            "",
            "Made by `make compatibility` from tests that run these clients, each in a process of its own, against a running server; do not",
            "edit. A cell that says *works* has tests in `tests/interop/` that ran and passed.",
            "",
            f"| | {' | '.join(clients)} |",
            f"|---|{'---|' * len(clients)}",
            *(
                f"| {feature} | {' | '.join(texts.get((feature, client), NO_CELL) for client in clients)} |"
                for feature in features
            ),
            "",
            f"*{REFUSED}*: this request is wrong for a server that was started so, and gets the status that the reference gives. *{NOT_OFFERED}*:",
            "gets `UNIMPLEMENTED` with the reason; shared memory of CUDA is there where PyTorch with CUDA and a device are.",
            f"*{NOT_RUN}*: the client, or a device that it needs, was not there when the table was made. {NO_CELL}: the client has no such call, or no",
            "test makes it.",
            "",
            "## Clients",
            "",
            "| client | version | how it is run |",
            "|---|---|---|",
            *(f"| {name} | {PEERS[name].version() or NOT_RUN} | {PEERS[name].how} |" for name in clients),
            "",
        ]
    )


def read_page(text: str) -> dict[tuple[str, str], str]:
    """What each cell of a page says, by row and column; places without a cell are left out."""
    lines = [line for line in text.split("## Clients", maxsplit=1)[0].splitlines() if line.startswith("|")]
    (_, *clients), _, *rows = ([part.strip() for part in line.split("|")[1:-1]] for line in lines)
    return {
        (feature, client): text
        for feature, *texts in rows
        for client, text in zip(clients, texts, strict=True)
        if text != NO_CELL
    }
