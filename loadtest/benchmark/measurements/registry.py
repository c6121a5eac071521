"""All measurements by name."""

from __future__ import annotations

from loadtest.benchmark.measurement import Measurement
from loadtest.benchmark.measurements.jpeg import JPEG
from loadtest.benchmark.measurements.memory import MEMORY
from loadtest.benchmark.measurements.open_arrival import OVERLOAD, TAIL
from loadtest.benchmark.measurements.raw import RAW
from loadtest.benchmark.measurements.start import START
from loadtest.benchmark.measurements.tiny_model import TINY
from loadtest.peers.measurement import IMAGES, TENSORS

MEASUREMENTS: dict[str, Measurement] = {one.name: one for one in (START, JPEG, RAW, TAIL, OVERLOAD, TINY, MEMORY)}
"""What `make benchmark` runs if nothing is chosen."""
PEERS: dict[str, Measurement] = {one.name: one for one in (IMAGES, TENSORS)}
"""What `make benchmark-peers` runs; they need other servers."""
ALL: dict[str, Measurement] = MEASUREMENTS | PEERS
