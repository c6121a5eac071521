"""`make benchmark`: what each variant can do bare, in process and behind gRPC; see `--help`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtest.benchmark.bars import verdicts
from loadtest.benchmark.bench import NothingToMeasure
from loadtest.benchmark.child import ChildFailed
from loadtest.benchmark.command_line import DOCS, RUNS, build_parser, chosen, settings
from loadtest.benchmark.conditions import conditions
from loadtest.benchmark.measurements.registry import ALL
from loadtest.benchmark.page import measured_section, update_page
from loadtest.benchmark.picture import draw
from loadtest.benchmark.results import Entry, Results, UnreadableResults, read_results, write_results
from loadtest.benchmark.session import take
from loadtest.benchmark.settings import ROUNDS
from loadtest.server_process import ServerDidNotStart
from pasarela_server.errors import ServingError

RESULTS, PAGE, PICTURE = "performance.json", "performance.md", "images/performance.svg"


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, or takes what was measured; writes; returns the exit code."""
    parser = build_parser()
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    unfinished = (RUNS if options.output == DOCS else options.output) / "unfinished.json"
    try:
        if options.source is not None:
            if not options.source.is_file():
                parser.error(f"--from: there is no file {options.source}")
            return publish(finished(read_results(options.source)), options.output)
        images = _images(options, parser)
        found = _measure(options, images, unfinished)
        code = publish(found, options.output)
        if code == 0:
            unfinished.unlink(missing_ok=True)
    except KeyboardInterrupt:
        print(f"benchmark: stopped; what was taken is in {unfinished}", file=sys.stderr)
        return 130
    except (ChildFailed, ServerDidNotStart, NothingToMeasure, ServingError, UnreadableResults) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    return code


def finished(results: Results) -> Results:
    """The measurements that were taken to their end."""
    return {name: entry for name, entry in results.items() if entry.complete}


def publish(found: Results, output: Path) -> int:
    """Puts measurements among those that were published before, and makes the page and the picture of them all.

    Returns:
        0; 1 if there is nothing to publish.
    """
    if not found:
        print("benchmark: no measurement was taken to its end; there is nothing to write", file=sys.stderr)
        return 1
    if output == DOCS and (few := [name for name, entry in found.items() if _too_few(name, entry)]):
        print(f"benchmark: {', '.join(few)}: fewer than {ROUNDS} rounds; docs/ is left as it is", file=sys.stderr)
        found = {name: entry for name, entry in found.items() if name not in few}
        if not found:
            return 0
    write_results(output / RESULTS, read_results(output / RESULTS) | found)
    # As the file has them, rounded: the page shows what the file says, to the last digit.
    results = read_results(output / RESULTS)
    picture = None
    if "jpeg" in results:
        draw(results["jpeg"].figures, output / PICTURE)
        picture = PICTURE
    update_page(output / PAGE, measured_section(results, picture))
    print(f"written: {output / PAGE}, {output / RESULTS}")
    return 0


def _too_few(name: str, entry: Entry) -> bool:
    return entry.rounds < ROUNDS and not ALL[name].once


def _measure(options: argparse.Namespace, images: list[Path], unfinished: Path) -> Results:
    names = chosen(options)
    chosen_settings = settings(options, images)
    if options.model_repository is None and any(ALL[name].needs_models for name in names):
        _make_repository(options.imgsz, chosen_settings.repository)
    kept: Results = {}

    def keep(name: str, entry: Entry) -> None:
        kept[name] = entry
        write_results(unfinished, kept)

    write_results(unfinished, kept)
    found = take([ALL[name] for name in names], chosen_settings, conditions(images), keep)
    print("\n".join(measured_section(found).splitlines()[1:-1]))
    unmet = [verdict.bar.what for verdict in verdicts(found) if verdict.met is False]
    print(f"\nbars not met: {'; '.join(unmet) or 'none'}")
    return found


def _make_repository(imgsz: int, repository: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "loadtest.benchmark.model"]
    done = subprocess.run([*command, "--imgsz", str(imgsz), "--output", str(repository)], check=False)
    if done.returncode != 0:
        raise NothingToMeasure(f"the benchmark network could not be made at {imgsz} px; see above")


def _images(options: argparse.Namespace, parser: argparse.ArgumentParser) -> list[Path]:
    images = sorted([*options.images.glob("*.jpg"), *options.images.glob("*.jpeg")])
    if not images:
        parser.error(f"no JPEG images in {options.images}; name a folder with --images")
    return images


if __name__ == "__main__":
    sys.exit(main())
