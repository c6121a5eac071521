"""One target under a fuzzer that follows the code's branches: `python -m tests.fuzz.guided TARGET COUNTS FLAG…`.

The flags are libFuzzer's. COUNTS is a file of two numbers, inputs that were accepted and refused: libFuzzer ends the
process by itself, and nothing is asked afterwards.
"""

from __future__ import annotations

import logging
import mmap
import struct
import sys
import warnings
from pathlib import Path

import atheris

# Compiled with counters in every branch, so before anything else imports it.
with atheris.instrument_imports(include=["pasarela_server"]):
    from tests.fuzz.targets import TARGETS, Came


COUNTS = struct.Struct("<QQ")


def main(arguments: list[str]) -> None:
    """Fuzzes until it is told to stop, or finds something."""
    name, counts, *flags = arguments
    target, came = TARGETS[name], {Came.ACCEPTED: 0, Came.REFUSED: 0}
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with Path(counts).open("r+b") as file:
        told = mmap.mmap(file.fileno(), COUNTS.size)

    def once(content: bytes) -> None:
        came[target(content)] += 1
        COUNTS.pack_into(told, 0, *came.values())

    atheris.Setup([sys.argv[0], *flags], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
