"""The repository goes away and comes back."""

from __future__ import annotations

import time
from pathlib import Path

from tests.chaos.clients import MIXED, Load
from tests.chaos.faults.resources import POLL
from tests.chaos.models import ADD, write_repository
from tests.chaos.row import Fault, Findings, Outcome
from tests.chaos.served import Served
from tests.tiny_models import write_onnx

_AWAY_S = 2.0
"""Several looks at the repository."""


def _vanishes(folder: Path) -> Outcome:
    findings = Findings()
    root = write_repository(folder / "models")
    with Served(root, folder, *POLL) as server, Load(server.url, MIXED) as load:
        findings.healthy(load)
        fault_s = time.monotonic()
        root.rename(folder / "away")
        server.wait_said("does not exist")
        time.sleep(_AWAY_S)
        root.mkdir()  # what a file system that is not mounted looks like
        time.sleep(_AWAY_S)
        root.rmdir()
        (folder / "away").rename(root)
        write_onnx(root / ADD / "2", 2)
        server.wait_said(f"{ADD} version 2: READY")
        findings.healthy(load)
        findings.remarks.append("gone, empty, and back with a new version, which is taken")
    return findings.outcome(load, fault_s, may_refuse=False)


def _half_written(folder: Path) -> Outcome:
    findings = Findings()
    root = write_repository(folder / "models")
    write_onnx(folder / "new", 2)
    whole = (folder / "new" / "model.onnx").read_bytes()
    with Served(root, folder, *POLL) as server, Load(server.url, MIXED) as load:
        findings.healthy(load)
        fault_s = time.monotonic()
        (root / ADD / "2").mkdir()
        (root / ADD / "2" / "model.onnx").write_bytes(whole[: len(whole) // 2])
        server.wait_said("version 2: UNAVAILABLE")
        findings.healthy(load)
        (root / ADD / "2" / "model.onnx").write_bytes(whole)
        server.wait_said(f"{ADD} version 2: READY")
        findings.healthy(load)
    return findings.outcome(load, fault_s, may_refuse=False)


FAULTS = (
    Fault(
        "vanishes",
        "the repository vanishes, is empty, and comes back (poll)",
        "nothing: what is loaded goes on",
        _vanishes,
        short=True,
    ),
    Fault(
        "half-written",
        "half of a version is written, the rest much later (poll)",
        "nothing: it waits, then is refused, then taken when it is whole",
        _half_written,
    ),
)
