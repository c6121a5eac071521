"""Waiting is measured by clocks that never jump: the wall clock is read only where a date is meant."""

import re
from pathlib import Path

import pasarela_server

ROOT = Path(pasarela_server.__file__).parent
WALL = re.compile(r"\btime\.time(_ns)?\b|\bdatetime\.(now|today|utcnow)\b|\bfrom time import\b")
DATES = {
    "repository/watch.py": "how old a file is, by the clock that file systems stamp with; then it waits by the monotonic",
    "observability/statistics.py": "the date of the last inference, for clients",
    "observability/otlp.py": "spans have dates",
    "rpc/protection.py": "when a certificate expires",
    "security/certificates.py": "whether a certificate is valid now",
    "backends/openvino_cache.py": "which compiled models have not been used for weeks",
}


def test_the_wall_clock_is_read_only_for_dates() -> None:
    found = {str(file.relative_to(ROOT)) for file in ROOT.rglob("*.py") if WALL.search(file.read_text())}
    assert found == set(DATES)
