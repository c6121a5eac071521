"""Which variant of a detector to run on this machine: `python -m loadtest.variants --help`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtest.benchmark.conditions import conditions
from loadtest.images import DEFAULT_FOLDERS, ROOT
from loadtest.report.document import write_whole
from loadtest.variants.advice import TOLERATED_MAP, sentence
from loadtest.variants.candidates import NoVariants, candidates
from loadtest.variants.page import render_variants
from loadtest.variants.results import Comparison, measured
from loadtest.variants.session import Plan, take
from loadtest.variants.test_set import drawn_test_set
from pasarela_client.commands.tables import format_table

_SUFFIXES: Final = frozenset({".jpg", ".jpeg"})

_EPILOG = """\
examples:
  python -m loadtest.variants                                     all raw detectors of model_repository/: some minutes
  python -m loadtest.variants --models garments_onnx garments_int8 --rounds 5
  python -m loadtest.variants --model-repository ~/models --no-map        detectors of other classes than the shipped

Each variant gets a server of its own that holds nothing else, round after round: how long it takes to start, its
memory, throughput and latency with one client and with many, and the mAP of what it answers over gRPC. A variant that
cannot run here, as its framework is not installed, stands in the table with the reason.

The mAP is measured on images that the project draws (runs/loadtest/); --no-map leaves it out.
Ctrl-C leaves the page with what was measured until then.

exit codes: 0 done; 1 no variant could be measured; 2 wrong usage; 130 Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes page and JSON, prints the table; returns the exit code."""
    parser = _build_parser()
    arguments = parser.parse_args(argv)
    try:
        variants = candidates(arguments.model_repository, arguments.models or ())
    except NoVariants as error:
        parser.error(str(error))
    images = _images(arguments.images)
    if not images:
        parser.error(f"no JPEG images in {arguments.images}; name a folder that has some with --images")
    started = datetime.now(UTC)
    output: Path = arguments.output or ROOT / "loadtest" / "reports" / f"variants-{started:%Y%m%d-%H%M%S}"
    output.mkdir(parents=True, exist_ok=True)
    interrupted = False
    comparison = Comparison(
        repository=arguments.model_repository.name,
        variants=variants,
        clients=arguments.clients,
        seconds=arguments.seconds,
        wanted_rounds=arguments.rounds,
        judged_images=0,
        judged_on="",
        started_at=started.isoformat(timespec="seconds"),
        conditions={name: told for name, told in conditions(images).items() if name != "generator"},
    )

    def keep(now: Comparison) -> None:
        write_whole(output / "variants.json", json.dumps(now.to_json(), indent=1, ensure_ascii=False) + "\n")

    try:
        test_set = None
        if not arguments.no_map:
            print(f"drawing {arguments.judge} images to judge on, unless they are there …", flush=True)
            test_set = drawn_test_set(arguments.judge, ROOT / "runs" / "loadtest")
            comparison.judged_images, comparison.judged_on = test_set.count, test_set.description
        with tempfile.TemporaryDirectory() as folder:
            plan = Plan(
                repository=arguments.model_repository,
                rounds=arguments.rounds,
                seconds=arguments.seconds,
                clients=arguments.clients,
                images=tuple(images),
                folder=Path(folder),
                test_set=test_set,
            )
            take(comparison, plan, keep)
    except KeyboardInterrupt:
        interrupted = True
        print("loadtest.variants: stopped; what was measured is kept", file=sys.stderr)
    keep(comparison)
    page = write_whole(output / "variants.html", render_variants(comparison, arguments.tolerated_map))
    print(_table(comparison))
    print(sentence(comparison.variants, arguments.tolerated_map))
    print(f"report: {page}")
    if interrupted:
        return 130
    return 0 if measured(comparison.variants) else 1


def _table(comparison: Comparison) -> str:
    def shown(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    rows = [["variant", "mAP50-95", "images/s", "p50 alone", "p99 busy", "memory MB", "start s", "note"]]
    rows += [
        [
            one.name,
            shown(one.map50_95, ".4f"),
            shown(one.median("saturated_per_second"), ".1f"),
            shown(one.median("alone_p50_ms"), ".1f"),
            shown(one.median("saturated_p99_ms"), ".1f"),
            shown(one.median("memory_loaded_mb"), ".0f"),
            shown(one.median("ready_s"), ".2f"),
            one.problem or one.description,
        ]
        for one in comparison.variants
    ]
    return format_table(rows, right=range(1, 7))


def _images(folder: Path | None) -> list[Path]:
    folders = DEFAULT_FOLDERS if folder is None else (folder,)
    for candidate in folders:
        if candidate.is_dir():
            found = sorted(path for path in candidate.iterdir() if path.suffix.lower() in _SUFFIXES)
            if found:
                return found
    return []


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"expected more than 0 and less than 3600, got {text}")
    return value


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.variants",
        description="Serves each variant of a detector by itself, and says which one to run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    repository = ROOT / "model_repository"
    add("--model-repository", type=Path, default=repository, metavar="DIR", help="default: model_repository/")
    add("--models", nargs="+", metavar="NAME", help="only these (default: all that have an artefact of their own)")
    add("--rounds", type=_positive, default=3, metavar="N", help="how often each figure is taken (default: 3)")
    add("--seconds", type=_seconds, default=4.0, metavar="S", help="how long a figure takes (default: 4)")
    add("--clients", type=_positive, default=16, metavar="N", help="clients that keep a server busy (default: 16)")
    add("--images", type=Path, metavar="DIR", help="JPEG images to send (default: the project's samples)")
    add("--judge", type=_positive, default=100, metavar="N", help="images that the mAP is measured on (default: 100)")
    add("--no-map", action="store_true", help="do without the mAP")
    add(
        "--tolerated-map",
        type=float,
        default=TOLERATED_MAP,
        metavar="X",
        help=f"mAP50-95 that what is recommended may lose against the best variant (default: {TOLERATED_MAP:g})",
    )
    add("--output", type=Path, metavar="DIR", help="where the report goes (default: a folder in loadtest/reports)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
