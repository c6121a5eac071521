"""OpenVINO's own benchmark_app, as an outside measure of what the engine can do on these cores."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from loadtest.benchmark.child import ChildFailed


def find_benchmark_app() -> str | None:
    """The tool of this environment; None if it was not installed."""
    return shutil.which("benchmark_app", path=str(Path(sys.executable).parent))


def benchmark_app_rate(tool: str, artefact: Path, side: int, seconds: float) -> float:
    """Images per second with its throughput hint; it takes whole seconds.

    Raises:
        ChildFailed: It did not print a figure.
    """
    command = [tool, "-m", str(artefact), "-d", "CPU", "-hint", "throughput", "-t", str(max(1, round(seconds)))]
    done = subprocess.run([*command, "-shape", f"[1,3,{side},{side}]"], capture_output=True, text=True, check=False)
    return parse_benchmark_app(done.stdout, done.stderr)


def parse_benchmark_app(printed: str, errors: str = "") -> float:
    """Its throughput.

    Raises:
        ChildFailed: There is none in what it printed.
    """
    found = re.search(r"Throughput:\s*([\d.]+)", printed)
    if found is None:
        last = (printed + errors).strip().splitlines()[-1:]
        raise ChildFailed(f"benchmark_app printed no throughput: {' '.join(last) or 'it printed nothing'}")
    return float(found.group(1))
