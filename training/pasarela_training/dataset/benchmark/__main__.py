"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path

from pasarela_training.dataset.benchmark.generate import MARK, generate_dataset
from pasarela_training.dataset.benchmark.measure import Measured, measure
from pasarela_training.errors import TrainingError

KINDS = ("plain", "ours", "read")
NAMES = {"plain": "plain reader", "ours": "pasarela", "read": "reading only"}
_MIB = 2**20
_FEWEST, _MOST = 3, 999_999

_DESCRIPTION = """\
Measures the conversion of DeepFashion2's annotations to COCO JSON: files per second and peak memory.

It writes a dataset of the size asked for into a folder (annotations of 1 to 6 kB, small images that share
few files), then runs in turn, each in a process of its own:

  plain reader   one process that opens every image, keeps everything in memory and writes it at the end,
                 as DeepFashion2's public converter does
  pasarela       the conversion of this project
  reading only   reads the same annotations and the first 8 KiB of each image, one after the other: what the
                 disk (or its cache, on a second reading) gives one process

Of several rounds the fastest counts. The memory is that of all processes of a run together.
"""
_EPILOG = """\
examples:
  python -m pasarela_training.dataset.benchmark --files 20000 --folder /tmp/conversion
  python -m pasarela_training.dataset.benchmark --files 200000 --folder /tmp/conversion --rounds 1 --json figures.json
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse(arguments)
    if _belongs_to_others(options.folder):
        print(f"{options.folder} holds something else; name a new or empty folder", file=sys.stderr)
        return 2
    try:
        if _holds(options.folder, options.files):
            print(f"using the {options.files} files that --keep left in {options.folder}", file=sys.stderr)
        else:
            shutil.rmtree(options.folder, ignore_errors=True)
            generate_dataset(options.folder, options.files, options.processes)
        found = measure(options.folder, KINDS, options.rounds, options.processes)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(options.folder, ignore_errors=True)
    print(table(found, options.files))
    if options.json:
        figures = as_json(found, options.files, options.processes)
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def table(found: dict[str, Measured], files: int) -> str:
    """The figures for people."""
    plain = found["plain"]
    lines = [
        f"{'':14}{'files/s':>10}{'seconds':>10}{'CPU s':>8}{'peak MiB':>10}{'output MiB':>12}{'speed':>8}{'memory':>8}"
    ]
    for kind, one in found.items():
        speed, memory = plain.best_s / one.best_s, one.peak_bytes / plain.peak_bytes
        lines.append(
            f"{NAMES[kind]:14}{files / one.best_s:>10,.0f}{one.best_s:>10.2f}{min(one.cpu_seconds):>8.2f}"
            f"{one.peak_bytes / _MIB:>10,.0f}{one.output_bytes / _MIB:>12,.0f}{speed:>7.1f}×{memory:>7.2f}×"
        )
    return "\n".join(lines)


def as_json(found: dict[str, Measured], files: int, processes: int) -> dict[str, object]:
    """The figures for programs, with what they were measured on."""
    return {
        "files": files,
        "processes": processes,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "speed_ratio": found["plain"].best_s / found["ours"].best_s,
        "runs": {
            kind: {
                "files_per_s": files / one.best_s,
                "seconds": one.seconds,
                "cpu_seconds": one.cpu_seconds,
                "peak_bytes": one.peak_bytes,
                "output_bytes": one.output_bytes,
            }
            for kind, one in found.items()
        },
    }


def _belongs_to_others(folder: Path) -> bool:
    if folder.is_dir():
        return any(folder.iterdir()) and not (folder / MARK).is_file()
    return folder.exists()


def _holds(folder: Path, files: int) -> bool:
    """True if the folder holds a finished dataset of just this size."""
    mark = folder / MARK
    return mark.is_file() and mark.read_text(encoding="ascii").strip() == str(files)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m pasarela_training.dataset.benchmark",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--files", type=_count, default=20_000, help="annotations to write (default: %(default)s)")
    parser.add_argument("--folder", type=Path, required=True, help="new or empty folder to work in")
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 100), metavar="N", help="(default: 3)")
    cores = os.cpu_count() or 1
    parser.add_argument("--processes", type=int, default=cores, choices=range(1, 1025), metavar="N",
                        help="that the conversion may use (default: the %(default)s cores)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    parser.add_argument("--keep", action="store_true", help="leave the dataset, for another run of the same size")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    number = int(text)
    if not _FEWEST <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"must be from {_FEWEST} to {_MOST}")
    return number


if __name__ == "__main__":
    sys.exit(main())
