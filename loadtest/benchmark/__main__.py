"""`make benchmark`: what each variant can do bare, in process and behind gRPC, interleaved in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from loadtest.benchmark.server import server_rate
from loadtest.benchmark.variant import Variant
from loadtest.server_process import running_server

CLIENTS = (1, 4, 16)
ROOT = Path(__file__).parents[2]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="make benchmark ARGS=…",
        description="Images per second of the bare engine, of the pipeline in process (encoded image to detections, "
        "no gRPC) and of the server with 1, 4 and 16 clients on this same machine. Rounds go through all of them in "
        "turn, so that a machine that drifts hits all alike; figures are medians over the rounds.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--model-repository", type=Path, default=ROOT / "model_repository", help="models to measure")
    parser.add_argument("--images", type=Path, default=ROOT / "docs/images/samples", help="folder with JPEG images")
    parser.add_argument("--models", nargs="*", help="only these raw models")
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is taken")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long one measurement takes")
    parser.add_argument("--json", type=Path, help="write all measurements here, too")
    return parser.parse_args()


def measure(variants: list[Variant], images: list[Path], rounds: int, seconds: float, repository: Path) -> Figures:
    """All figures of all variants, round by round."""
    encoded = [path.read_bytes() for path in images]
    figures = Figures()
    steps = rounds * len(variants) * (2 + len(CLIENTS))
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(repository, Path(folder) / "server.log") as url,
        tqdm(total=steps, desc="measuring", unit="figure") as bar,
    ):
        for _ in range(rounds):
            for variant in variants:
                figures.add(variant.name, "engine", variant.engine_rate(seconds))
                bar.update()
                figures.add(variant.name, "pipeline", variant.pipeline_rate(encoded, seconds))
                bar.update()
                for clients in CLIENTS:
                    taken = server_rate(url, variant.name, clients, seconds, images)
                    figures.add(variant.name, f"server_{clients}", taken.images_per_second)
                    figures.add(variant.name, f"p50_ms_{clients}", taken.p50_ms)
                    figures.add(variant.name, f"p99_ms_{clients}", taken.p99_ms)
                    figures.add(variant.name, f"client_cores_{clients}", taken.client_cores)
                    bar.update()
                app = variant.benchmark_app_rate(seconds)
                if app is not None:
                    figures.add(variant.name, "benchmark_app", app)
    return figures


class Figures:
    """Measurements by variant and quantity, one for each round."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, variant: str, quantity: str, value: float) -> None:
        """Notes one measurement."""
        self.taken[variant][quantity].append(value)

    def median(self, variant: str, quantity: str) -> float | None:
        """The median over the rounds; None if it was not measured."""
        values = self.taken[variant].get(quantity)
        return statistics.median(values) if values else None

    def ratio(self, variant: str, above: str, below: str) -> tuple[float, float, float]:
        """Median, smallest and largest of the ratio of two quantities, taken round by round."""
        pairs = zip(self.taken[variant][above], self.taken[variant][below], strict=True)
        ratios = [a / b for a, b in pairs]
        return statistics.median(ratios), min(ratios), max(ratios)


def table(figures: Figures, variants: list[Variant]) -> str:
    """The figures as a person reads them (Markdown)."""
    lines = [
        "| images per second | benchmark_app | engine | in process | 1 client | 4 | 16 | ÷ in process | clients took |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for variant in variants:
        columns = ["benchmark_app", "engine", "pipeline", *(f"server_{clients}" for clients in CLIENTS)]
        medians = [figures.median(variant.name, column) for column in columns]
        cells = ["–" if median is None else f"{median:.1f}" for median in medians]
        middle, low, high = figures.ratio(variant.name, "server_16", "pipeline")
        share = (figures.median(variant.name, "client_cores_16") or 0) / variant.cores
        cells += [f"{middle:.2f} ({low:.2f}–{high:.2f})", f"{share:.1%} of the CPU"]
        lines.append(f"| {variant.name} | {' | '.join(cells)} |")
    lines += ["", "| latency, p50 / p99 in ms | 1 client | 4 clients | 16 clients |", "|---|---|---|---|"]
    for variant in variants:
        cells = [
            f"{figures.median(variant.name, f'p50_ms_{n}'):.1f} / {figures.median(variant.name, f'p99_ms_{n}'):.1f}"
            for n in CLIENTS
        ]
        lines.append(f"| {variant.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measures and prints."""
    options = arguments()
    images = sorted([*options.images.glob("*.jpg"), *options.images.glob("*.jpeg")])
    if not images:
        print(f"no JPEG images in {options.images}; name a folder with --images", file=sys.stderr)
        return 1
    cores = len(os.sched_getaffinity(0))
    folders = sorted(path for path in options.model_repository.iterdir() if path.is_dir())
    wanted = [path for path in folders if not options.models or path.name in options.models]
    variants = [variant for path in wanted if (variant := Variant.load(path, cores)) is not None]
    if not variants:
        print(f"no raw detector in {options.model_repository} can be measured here", file=sys.stderr)
        return 1
    print(f"{cores} cores, {platform.processor() or platform.machine()}, {len(images)} images, {options.rounds} rounds")
    for variant in variants:
        print(f"  {variant.name}: {variant.backend.description}")
    figures = measure(variants, images, options.rounds, options.seconds, options.model_repository)
    print(table(figures, variants))
    if options.json:
        options.json.write_text(json.dumps(figures.taken, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
