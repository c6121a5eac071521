"""Serving what is about to be published, and measuring it as its users will."""

from __future__ import annotations

import shutil
from pathlib import Path

from pasarela_training.config import Config
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.measured import Measured, write_measured
from pasarela_training.evaluate.served import measure_served
from pasarela_training.publish.gate import Verdict
from pasarela_training.publish.stage import gather, put_variants
from pasarela_training.verify.server import running_server

CANDIDATE = "model_repository"
LOG = "server.log"


def make_verify(
    config: Config,
    *,
    image_root: Path,
    coco: Path,
    sample: Path,
    exported: Path,
    evaluated: Path,
    output: Path,
) -> str:
    """Builds a candidate repository of all variants, serves it, and measures every model of it over gRPC.

    Args:
        config: The configuration.
        image_root: Folder that the documents' file names are relative to.
        coco: Output of the `coco` stage.
        sample: Output of the `sample` stage.
        exported: Output of the `export` stage.
        evaluated: Output of the `evaluate` stage.
        output: Folder to write `results.json` and `server.log` into.

    Returns:
        The figures in one line.

    Raises:
        TrainingError: The server does not start or does not answer, or answers otherwise for the detection model than
            for the variant that it runs.
    """
    candidate = output / CANDIDATE
    candidate.mkdir()
    elsewhere = config.publish.model_copy(update={"repository": candidate})
    material = gather(
        config.model_copy(update={"publish": elsewhere}),
        sample=sample,
        exported=exported,
        evaluated=evaluated,
        verified=None,
    )
    put_variants(material, [Verdict(variant, ()) for variant in config.export.variants], lambda _: None)
    split = config.verify.split
    document = coco / f"{split}.json"
    measured = []
    with running_server(candidate, output / LOG) as url:
        for variant in config.export.variants:
            model = material.model(variant)
            run = measure_served(
                url,
                model,
                image_root,
                document,
                config.evaluate,
                window=config.verify.window,
                label=f"verify {model}",
            )
            by = f"through gRPC: {model} version {run.version}"
            measured.append(Measured(variant, by, 0.0, {split: run.scores}))
        detection = measure_served(
            url,
            config.publish.name,
            image_root,
            document,
            config.evaluate,
            window=config.verify.window,
            label=f"verify {config.publish.name}",
        )
    served = next(one for one in measured if one.variant == config.publish.serve).splits[split]
    difference = abs(detection.scores.map50_95 - served.map50_95)
    if difference > config.verify.max_map_difference:
        runs = material.model(config.publish.serve)
        raise TrainingError(
            f"verify: through the server {config.publish.name} has mAP50-95 {detection.scores.map50_95:.4f} on {split} "
            f"and {runs}, which it runs, {served.map50_95:.4f}; {output / LOG} may say why"
        )
    write_measured(output, measured)
    shutil.rmtree(candidate)
    figures = ", ".join(f"{one.variant} {one.splits[split].map50_95:.4f}" for one in measured)
    return f"mAP50-95 on {split} through a server: {figures}, {config.publish.name} {detection.scores.map50_95:.4f}"
