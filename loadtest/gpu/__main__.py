"""`python -m loadtest.gpu`: what a GPU delivers bare, in process and behind gRPC, with and without batching."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from loadtest.gpu.bare import SIDE, BareEngine
from loadtest.gpu.clients import Load, Taken, detect, infer
from loadtest.gpu.conditions import conditions
from loadtest.gpu.models import detection_name, raw_name, write_repository
from loadtest.gpu.pipeline import opened, pipeline_rate
from loadtest.server_process import ServerDidNotStart, started_server

ROOT = Path(__file__).parents[2]
_READY_S = 240.0
_OUTPUT_BYTES = 17 * 8400 * 4
_COLUMNS = ("bare", "bare_copying", "in_process", "detect", "raw_merged", "raw")
_LOADS = ("detect", "raw_merged", "raw")
_TITLES = (
    "largest batch", "bare", "bare with copies", "in process", "server: JPEG", "raw, single rows", "raw, whole batches",
    *(f"{load} ÷ bare" for load in ("JPEG", "single rows", "whole batches")),
    *(f"{load} p50 / p99 ms" for load in ("JPEG", "single rows", "whole batches")), "cores of the clients",
)  # fmt: skip
_IN_PROCESS = 240
"""Images that one process takes at a time: a few less than it lets wait."""
_WHOLE_BATCHES = 6
"""Clients that send batches which are full already: enough to keep all instances busy."""

Figures = dict[int, dict[str, list[float]]]
"""By largest batch, then by quantity: one value for each round."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.gpu",
        description="Images per second of the bare engine (resident on the GPU, and with copies), of the pipeline in "
        "process (JPEG to detections, no gRPC) and of the server (JPEG to detections; raw FP32 tensors in shared "
        "memory, sent one by one and as whole batches), for several largest batches. A largest batch of 1 is the "
        "server with batching off. Rounds go through all of them in turn; figures are medians over the rounds.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--artefact",
        type=Path,
        default=ROOT / "runs/benchmark/repository-640/yolov9t_pytorch/1/model.pt",
        help="TorchScript archive at 640 px (python -m loadtest.benchmark.model makes it)",
    )
    parser.add_argument("--images", type=Path, default=ROOT / "docs/images/samples", help="folder with JPEG images")
    parser.add_argument("--sizes", default="1,8,32,128", help="largest batches")
    parser.add_argument("--instances", type=int, default=2, help="sessions of each model")
    parser.add_argument("--clients", type=int, default=240, help="requests under way, in all processes")
    parser.add_argument("--client-processes", type=int, default=4, help="processes that they are spread over")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long one measurement takes")
    parser.add_argument("--parameters", default="", help="of the raw models, as precision=f32,cuda_graphs=off")
    parser.add_argument("--jpeg-device", default="cpu", help="where JPEGs are decoded: cpu, gpu or cuda:N")
    parser.add_argument("--server-flags", default="", help="more flags of the server, as one string")
    parser.add_argument("--only", default=",".join(_COLUMNS), help="figures to take")
    parser.add_argument("--json", type=Path, help="write all measurements here, too")
    return parser.parse_args()


def measure(options: argparse.Namespace, sizes: list[int], images: list[bytes], folder: Path) -> Figures:
    """All figures, round by round."""
    import torch

    only = set(options.only.split(","))
    repository = folder / "repository"
    parameters = dict(pair.split("=", 1) for pair in options.parameters.split(",") if pair)
    write_repository(options.artefact, sizes, options.instances, parameters, repository, options.jpeg_device)
    figures: Figures = defaultdict(lambda: defaultdict(list))
    with contextlib.ExitStack() as undo:
        # All are there at the same time, and idle but for one: each round then goes through all of them in turn.
        url = undo.enter_context(_served(repository, folder / "server.log", options.server_flags))
        models = undo.enter_context(opened(repository)) if "in_process" in only else None
        engines = {rows: BareEngine(torch, options.artefact, rows) for rows in sizes if only & {"bare", "bare_copying"}}
        for round_number in range(options.rounds):
            for rows in sizes:
                print(f"round {round_number + 1} of {options.rounds}, {rows} rows", file=sys.stderr, flush=True)
                taken = figures[rows]
                if rows in engines:
                    taken["bare"].append(engines[rows].resident_rate(min(options.seconds, 2.0)))
                    taken["bare_copying"].append(engines[rows].copying_rate(min(options.seconds, 2.0)))
                if models is not None:
                    at_a_time = min(options.clients, _IN_PROCESS)
                    rate = pipeline_rate(models, detection_name(rows), images, at_a_time, options.seconds)
                    taken["in_process"].append(rate)
                _measure_server(taken, url, rows, options, only, images)
    return figures


def _measure_server(
    taken: dict[str, list[float]], url: str, rows: int, options: argparse.Namespace, only: set[str], images: list[bytes]
) -> None:
    load = Load(url, detection_name(rows), options.client_processes, options.clients, options.seconds)
    raw = replace(load, model=raw_name(rows), clients=min(options.clients, _IN_PROCESS))
    if "detect" in only:
        _note(taken, "detect", detect(load, images))
    if "raw_merged" in only:
        _note(taken, "raw_merged", infer(raw, 1, SIDE, _OUTPUT_BYTES))
    if "raw" in only:
        few = replace(raw, processes=_WHOLE_BATCHES, clients=_WHOLE_BATCHES)
        _note(taken, "raw", infer(few, rows, SIDE, _OUTPUT_BYTES))


@contextlib.contextmanager
def _served(repository: Path, log: Path, flags: str) -> Iterator[str]:
    """A server; its log is shown if anything fails."""
    try:
        with started_server(repository, log, shlex.split(flags), ready_s=_READY_S) as server:
            yield server.url
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace")[-4000:])
        raise


def _note(into: dict[str, list[float]], what: str, taken: Taken) -> None:
    into[what].append(taken.per_second)
    into[f"{what}_p50_ms"].append(taken.p50_ms)
    into[f"{what}_p99_ms"].append(taken.p99_ms)
    into[f"{what}_client_cores"].append(taken.client_cores)


def table(figures: Figures) -> str:
    """The figures as a person reads them (Markdown): medians, and of each ratio the range over the rounds."""
    lines = [
        f"| {' | '.join(_TITLES)} |",
        "|---" * len(_TITLES) + "|",
    ]
    for rows, taken in sorted(figures.items()):
        cells = [_median(taken, column) for column in _COLUMNS]
        cells += [_ratio(taken, what) for what in _LOADS]
        cells += [f"{_median(taken, f'{what}_p50_ms', 1)} / {_median(taken, f'{what}_p99_ms', 1)}" for what in _LOADS]
        cells.append(" / ".join(_median(taken, f"{what}_client_cores", 1) for what in _LOADS))
        lines.append(f"| {rows} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _median(taken: dict[str, list[float]], what: str, digits: int = 0) -> str:
    return f"{statistics.median(taken[what]):,.{digits}f}" if taken.get(what) else "–"


def _ratio(taken: dict[str, list[float]], what: str) -> str:
    if not (taken.get(what) and taken.get("bare")):
        return "–"
    ratios = [above / below for above, below in zip(taken[what], taken["bare"], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def main() -> int:
    """Measures and prints."""
    import torch

    options = arguments()
    if not torch.cuda.is_available():
        print("there is no NVIDIA GPU here that PyTorch can use", file=sys.stderr)
        return 1
    images = [path.read_bytes() for path in sorted([*options.images.glob("*.jpg"), *options.images.glob("*.jpeg")])]
    if not images:
        print(f"no JPEG images in {options.images}; name a folder with --images", file=sys.stderr)
        return 1
    said = conditions(torch)
    said["load"] = (
        f"{options.clients} clients in {options.client_processes} processes on the same machine, {len(images)} JPEG "
        f"images of {sum(map(len, images)) // len(images) / 1000:.0f} kB on average; {options.instances} instances; "
        f"{options.rounds} rounds of {options.seconds:g} s; server flags: {options.server_flags or 'none'}; "
        f"parameters: {options.parameters or 'none'}"
    )
    print("\n".join(f"{what}: {value}" for what, value in said.items()), flush=True)
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = measure(options, sizes, images, Path(folder))
        except (ServerDidNotStart, RuntimeError) as error:
            print(f"python -m loadtest.gpu: error: {error}", file=sys.stderr)
            return 1
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps({"conditions": said, "figures": figures}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
