"""The command line of `make benchmark`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from loadtest.benchmark.measurements.registry import ALL, MEASUREMENTS
from loadtest.benchmark.settings import CLIENTS, ROOT, ROUNDS, Settings

DOCS = ROOT / "docs"
RUNS = ROOT / "runs" / "benchmark"

_EPILOG = f"""\
measurements (--only takes any of them, each runs by itself):
{chr(10).join(f"  {one.name:10} {one.about}" for one in ALL.values())}

examples:
  make benchmark                                            everything but the peers: half an hour on an idle machine
  make benchmark ARGS="--only tiny overload"                some of it; each takes its own section of the page anew
  make benchmark ARGS="--only jpeg --variants openvino int8 --clients 1 16"
  make benchmark ARGS="--rounds 1 --seconds 0.5"            a look; fewer than {ROUNDS} rounds leave docs/ as it is
  make benchmark ARGS="--imgsz 320"                         the same network at another size
  make benchmark ARGS="--model-repository model_repository --output /tmp/shipped"
  make benchmark ARGS="--from runs/benchmark/unfinished.json"   no measuring: what a stopped run has finished, as a page
  make benchmark-peers                                      the same load on Triton and MLServer (installs them)

How it is done: all that is compared is started before the first round, and gets load in turn, one at a time; odd rounds
go backwards. Every ratio is taken within a round. Load comes from a process of its own, on the same cores; what it took
stands beside the figures. Nothing else should run on the machine.

exit codes: 0 done; 1 something could not be measured; 2 wrong usage; 130 Ctrl-C (servers are stopped, what was taken is
in runs/benchmark/unfinished.json, docs/ is as before)
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags and their help."""
    parser = argparse.ArgumentParser(
        prog="make benchmark ARGS=…",
        description="Measures what serving costs: the bare engine, the pipeline in process and the server, in one run. "
        "Writes performance.json, a picture, and the measured section of performance.md.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=ALL, metavar="NAME", help=f"these of {', '.join(ALL)}")
    add("--variants", nargs="+", default=[], metavar="ENDING", help="models that end so: openvino int8 onnx pytorch")
    add("--clients", nargs="+", type=int, choices=CLIENTS, default=CLIENTS, metavar="N", help=f"of {CLIENTS}")
    add("--rounds", type=_positive, default=ROUNDS, help=f"how often each figure is taken (default: {ROUNDS})")
    add("--seconds", type=_seconds, default=3.0, help="how long a figure takes (default: 3)")
    add("--deadline-ms", type=_seconds, default=500.0, help="of requests under overload (default: 500)")
    add("--requests", type=_positive, default=10_000, help="of the measurement of memory (default: 10000)")
    add("--imgsz", type=_positive, default=640, help="side of the benchmark network in pixels (default: 640)")
    add("--model-repository", type=Path, metavar="PATH", help="measure the raw detectors of another repository")
    add("--images", type=Path, default=DOCS / "images/samples", metavar="PATH", help="folder with JPEG images")
    add("--output", type=Path, default=DOCS, metavar="PATH", help="folder of the page and the JSON (default: docs)")
    add("--from", type=Path, dest="source", metavar="FILE", help="measure nothing; publish what this file has finished")
    return parser


def chosen(options: argparse.Namespace) -> list[str]:
    """The measurements to take, in their order."""
    wanted = options.only or list(MEASUREMENTS)
    return [name for name in ALL if name in wanted]


def settings(options: argparse.Namespace, images: Sequence[Path]) -> Settings:
    """What holds for all of them."""
    return Settings(
        repository=options.model_repository or RUNS / f"repository-{options.imgsz}",
        images=tuple(images),
        rounds=options.rounds,
        seconds=options.seconds,
        clients=tuple(sorted(options.clients)),
        variants=tuple(options.variants),
        deadline_ms=options.deadline_ms,
        requests=options.requests,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 3600 * 1000:
        raise argparse.ArgumentTypeError(f"must be more than 0, got {text}")
    return number
