"""`make fuzz`: a million wrong inputs and more, in process and over a socket; see `--help`."""

from __future__ import annotations

import argparse
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.seeds import ROOT, seeds
from tests.fuzz.targets import TARGETS

FOUND = ROOT / "runs" / "fuzz"
KEPT = Path(__file__).with_name("found")
MOST_MB = 2048
LONGEST_S = 10
_COUNTS = struct.Struct("<QQ")
"""As in `guided`, whose import would instrument everything."""
_SHARES = {"image": 1, "frames": 1, "config": 1}
"""Of the inputs, by target; the others are fast and get more."""
_EPILOG = f"""\
targets: {", ".join(TARGETS)}; socket: bytes sent to every method of a real server

An input that the server is at fault for is kept in runs/fuzz/TARGET/ and said; put it into tests/fuzz/found/TARGET/ with
the repair, where `make test` tries it for ever:  python -m tests.fuzz --again TARGET FILE

exit codes: 0 nothing found; 1 something found; 2 wrong usage; 130 Ctrl-C
"""


@dataclass(frozen=True)
class Outcome:
    """What fuzzing one target came to."""

    target: str
    inputs: int
    accepted: int
    refused: int
    seconds: float
    fault: str
    """Empty if nothing was found."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzzes, prints a row for each target, and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, metavar="N", help="in process, all targets together")
    parser.add_argument("--requests", type=int, default=100_000, metavar="N", help="over a socket (default: 100,000)")
    parser.add_argument("--only", nargs="+", choices=[*TARGETS, "socket"], metavar="TARGET", help="these alone")
    parser.add_argument("--again", nargs=2, metavar=("TARGET", "FILE"), help="try one input that was found")
    options = parser.parse_args(arguments)
    if options.again:
        name, file = options.again
        print(TARGETS[name](Path(file).read_bytes()).value)
        return 0
    try:
        return _report(_run(options.only or [*TARGETS, "socket"], options.inputs, options.requests))
    except KeyboardInterrupt:
        return 130


def _run(names: Sequence[str], inputs: int, requests: int) -> list[Outcome]:
    in_process = [name for name in names if name != "socket"]
    whole = sum(_SHARES.get(name, 4) for name in in_process)
    outcomes = []
    for name in in_process:
        count = -(-inputs * _SHARES.get(name, 4) // whole)
        print(f"{name}: {count:,} inputs …", file=sys.stderr, flush=True)
        outcomes.append(_fuzz(name, count))
    if "socket" in names:
        from tests.fuzz.hostile import assail

        print(f"socket: {requests:,} requests …", file=sys.stderr, flush=True)
        outcomes.append(assail(requests))
    return outcomes


def _fuzz(name: str, count: int) -> Outcome:
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        corpus, counts = Path(folder) / "corpus", Path(folder) / "counts"
        corpus.mkdir()
        counts.write_bytes(bytes(_COUNTS.size))
        for number, seed in enumerate(seeds()[name]):
            (corpus / f"seed-{number}").write_bytes(seed)
        command = [sys.executable, "-m", "tests.fuzz.guided", name, str(counts), f"-runs={count}"]
        command += [f"-rss_limit_mb={MOST_MB}", f"-timeout={LONGEST_S}", "-max_len=4096"]
        command += [f"-artifact_prefix={found}/", str(corpus)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        accepted, refused = _COUNTS.unpack(counts.read_bytes())
    elapsed_s = time.monotonic() - begun_s
    executed = re.findall(r"^Done (\d+) runs", done.stderr, re.MULTILINE)
    fault = ""
    if done.returncode or not executed:
        (found / "log.txt").write_text(done.stderr)
        kept = re.findall(r"Test unit written to (\S+)", done.stderr)
        fault = f"exit code {done.returncode}; the input: {kept[-1] if kept else 'none'}; the log: {found / 'log.txt'}"
    return Outcome(name, int(executed[-1]) if executed else accepted + refused, accepted, refused, elapsed_s, fault)


def _report(outcomes: Sequence[Outcome]) -> int:
    print(f"{'target':10} {'inputs':>10} {'accepted':>10} {'refused':>10} {'a second':>9}  found")
    for one in outcomes:
        rate = one.inputs / one.seconds if one.seconds else 0.0
        print(
            f"{one.target:10} {one.inputs:10,} {one.accepted:10,} {one.refused:10,} {rate:9,.0f}  {one.fault or 'nothing'}"
        )
    print(f"{'all':10} {sum(one.inputs for one in outcomes):10,}")
    return 1 if any(one.fault for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
