"""Comparing the speed of variants on this machine, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import orjson

from pasarela_server.errors import ServingError
from pasarela_training.compare.figures import HEADER, Round, base_variant, figures, ratios, rotated, rows, spread, table
from pasarela_training.compare.picture import Point, draw_comparison
from pasarela_training.compare.speed import Loaded, loaded
from pasarela_training.config import CompareSection
from pasarela_training.dataset.document import read_document
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.stage import Measured
from pasarela_training.framework import available_cores
from pasarela_training.machine import describe_machine
from pasarela_training.progress import progress
from pasarela_training.variants import VariantSpec

RESULTS, TABLE, PICTURE = "results.json", "table.md", "compare.png"


def make_compare(
    image_root: Path,
    coco: Path,
    exported: Path,
    variants: Sequence[VariantSpec],
    measured: Sequence[Measured],
    section: CompareSection,
    output: Path,
) -> str:
    """Measures latency and throughput, the variants taking turns.

    Args:
        image_root: Folder that the documents' file names are relative to.
        coco: Output of the `coco` stage.
        exported: Output of the `export` stage.
        variants: Which to compare; at least one.
        measured: What `evaluate` measured of them.
        section: How long and how often.
        output: Folder to write `results.json`, `table.md` and `compare.png` into.

    Returns:
        The figures in one line.

    Raises:
        TrainingError: A variant cannot be run, or there are no images.
    """
    if not variants:
        raise TrainingError("compare: there is no variant to compare; name some in export.variants")
    images = _images(image_root, coco / "test.json", section.images)
    cores = available_cores()
    rounds: dict[str, list[Round]] = {variant.name: [] for variant in variants}
    try:
        with ExitStack() as stack:
            ready: dict[str, Loaded] = {
                variant.name: stack.enter_context(loaded(variant, exported / variant.name, cores))
                for variant in variants
            }
            descriptions = {name: [one.alone.description, one.together.description] for name, one in ready.items()}
            for one in progress(ready.values(), "compare: warming up", total=len(ready)):
                one.warm(images)
            turns = [name for number in range(section.rounds) for name in rotated(list(ready), number)]
            for name in progress(turns, "compare"):
                rounds[name].append(ready[name].round(images, section))
    except ServingError as error:
        raise TrainingError(f"compare: a variant cannot be run as the server would: {error}") from error
    accuracy: dict[str, float] = {one.variant: one.splits["test"].map50_95 for one in measured if "test" in one.splits}
    titles: dict[str, str] = {variant.name: variant.title for variant in variants}
    base = base_variant(list(rounds))
    lines = rows(titles, accuracy, rounds)
    machine = describe_machine()
    content = {
        "machine": machine,
        "settings": section.model_dump() | {"images": len(images)},
        "latency": {"instances": 1, "threads": cores},
        "throughput": {"instances": cores, "threads": 1},
        "base": base,
        "header": HEADER,
        "table": lines,
        "variants": {
            name: {
                "title": titles[name],
                "descriptions": descriptions[name],
                "map50_95": accuracy.get(name),
                "faster_latency": asdict(ratios(figures(rounds[base], "p50_ms"), figures(taken, "p50_ms"))),
                "faster_rate": asdict(ratios(figures(taken, "rate"), figures(rounds[base], "rate"))),
                "rounds": [asdict(one) for one in taken],
            }
            for name, taken in rounds.items()
        },
    }
    (output / RESULTS).write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    note = (
        f"Medians of {section.rounds} rounds (lowest–highest). Latency: one image at a time, one instance on {cores} "
        f"cores. Images/s: {cores} instances of one thread. Ratios: against {titles[base]}, round by round. "
        f"{machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}."
    )
    ran = [f"- {titles[name]}: {described[0]}; {described[1]}" for name, described in descriptions.items()]
    (output / TABLE).write_text("\n".join([*table(lines), "", note, "", *ran, ""]), encoding="utf-8")
    points = [
        Point(titles[name], accuracy[name], spread(taken, "p50_ms").median, spread(taken, "rate").median)
        for name, taken in rounds.items()
        if name in accuracy
    ]
    if points:
        draw_comparison(points, output / PICTURE)
    told = (
        f"{name} {spread(taken, 'p50_ms').median:.1f} ms, {spread(taken, 'rate').median:.0f}/s"
        for name, taken in rounds.items()
    )
    return f"latency p50 and images per second: {'; '.join(told)}"


def _images(image_root: Path, document: Path, count: int) -> list[bytes]:
    names = [image["file_name"] for image in read_document(document)["images"][:count]]
    if not names:
        raise TrainingError(f"compare: {document} lists no images; sample more")
    try:
        return [(image_root / name).read_bytes() for name in names]
    except OSError as error:
        raise TrainingError(f"compare: a test image cannot be read: {error}; sample again") from error
