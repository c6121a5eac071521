"""Time and peak memory of processes, taken in turn so that drift of the machine hits all alike."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pasarela_training.errors import TrainingError
from pasarela_training.progress import progress

_PAUSE_S = 0.05
"""Between two looks at the memory."""


@dataclass(slots=True)
class Measured:
    """What was found for one way of doing it."""

    seconds: list[float] = field(default_factory=list)
    """Of the work in each round, without the start of Python."""
    cpu_seconds: list[float] = field(default_factory=list)
    """Of the processor, in all processes together, with the start of Python. Suffers less from what else runs."""
    peak_bytes: int = 0
    """The most resident memory that the process and those it started held together."""
    output_bytes: int = 0

    @property
    def best_s(self) -> float:
        """Of the round that was disturbed the least."""
        return min(self.seconds)


def measure(folder: Path, kinds: tuple[str, ...], rounds: int, processes: int) -> dict[str, Measured]:
    """Runs each kind once in every round. See `one`.

    Raises:
        TrainingError: One of them failed.
    """
    found = {kind: Measured() for kind in kinds}
    for _ in progress(range(rounds), "measure", rounds):
        for kind in kinds:
            output = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=folder))
            try:
                seconds, cpu_seconds, peak = _run(kind, folder, output, processes)
                found[kind].seconds.append(seconds)
                found[kind].cpu_seconds.append(cpu_seconds)
                found[kind].peak_bytes = max(found[kind].peak_bytes, peak)
                found[kind].output_bytes = sum(path.stat().st_size for path in output.glob("*.json"))
            finally:
                shutil.rmtree(output)
    return found


def _run(kind: str, folder: Path, output: Path, processes: int) -> tuple[float, float, int]:
    command = [sys.executable, "-m", f"{__package__}.one", kind, str(folder), str(output), str(processes)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,
        tempfile.TemporaryFile("w+", encoding="utf-8") as failed,
        subprocess.Popen(command, stdout=said, stderr=failed) as process,
    ):
        peak = 0
        try:
            while process.poll() is None:
                peak = max(peak, _resident(process.pid))
                time.sleep(_PAUSE_S)
        except BaseException:
            process.terminate()
            raise
        said.seek(0)
        failed.seek(0)
        if process.returncode:
            last = (failed.read().strip().splitlines() or ["it said nothing"])[-1]
            raise TrainingError(f"benchmark: {kind} ended with code {process.returncode}: {last}")
        seconds, cpu_seconds = (float(number) for number in said.read().split())
        return seconds, cpu_seconds, peak


def _resident(pid: int) -> int:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
