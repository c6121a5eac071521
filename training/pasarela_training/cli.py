"""The command line: what can be asked for, and how it is told."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

STAGES = {
    "sample": "choose images (seeded shuffle) and split them into train, val and test",
    "coco": "convert the splits to COCO JSON, with a report of broken annotations",
    "yolo": "convert the splits to YOLO labels, with links to the images",
    "train": "train the network, phase by phase; an interrupted training goes on from its last epoch",
    "export": "write the trained model as TorchScript, ONNX, OpenVINO and INT8, and compare each with what was trained",
    "evaluate": "measure mAP of every exported variant, as it will be served, on val and test",
    "verify": "measure mAP of every variant once more, through a running server",
    "publish": "put the variants into the model repository, except those that what was measured forbids",
    "look": "draw what was found beside what is there, the worst misses first",
    "compare": "measure latency and throughput of every variant in this process, taking turns",
    "report": "write one HTML file about the run: data, curves, figures, examples",
    "run": "do all of the above",
}

DESCRIPTION = """\
From images to a published detector. One YAML file says everything; a first run is

  pasarela-training run --config training/configs/demo.yaml

Each stage is also a command of its own. A stage first brings up to date what it reads, and is skipped
when its output was already made by the same part of the configuration from the same inputs.
Ctrl-C stops at any time; the same command goes on later.
"""

EXTRA_EXAMPLES = {
    "evaluate": """
measure an exported file that this run did not make, on the same images:

  pasarela-training evaluate --config training/configs/demo.yaml --artefact best.onnx
""",
    "verify": """
measure a model of a server that is already running:

  pasarela-training verify --config training/configs/demo.yaml --server 127.0.0.1:8001 --model garments
""",
    "publish": """
publish variants that the gate refuses, knowing what you do:

  pasarela-training publish --config training/configs/demo.yaml --allow-worse
""",
}


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    root = argparse.ArgumentParser(
        prog="pasarela-training", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    synthesize = commands.add_parser(
        "synthesize",
        help="draw a dataset in DeepFashion2's layout",
        description=textwrap.dedent(
            """\
            Draws garments of the 13 categories of DeepFashion2, with boxes, polygons and landmarks, seeded.

              pasarela-training synthesize --config training/configs/demo.yaml    as the configuration says
              pasarela-training synthesize --images 200 --output datasets/small   without a configuration
            """
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    synthesize.add_argument("--config", type=Path, metavar="FILE", help="configuration with a dataset.synthesize block")
    synthesize.add_argument("--images", type=int, metavar="N", help="how many images to draw (without --config)")
    synthesize.add_argument("--seed", type=int, metavar="N", help="same seed, same images (default: 0)")
    synthesize.add_argument("--output", type=Path, metavar="FOLDER", help="where to put them; must not exist yet")
    for name, purpose in STAGES.items():
        example = f"  pasarela-training {name} --config training/configs/demo.yaml"
        command = commands.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.\n\n{example}\n{EXTRA_EXAMPLES.get(name, '')}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the YAML file that describes the run"
        )
        _add_options(name, command)
    return root


def _add_options(name: str, command: argparse.ArgumentParser) -> None:
    if name in {"publish", "run"}:
        command.add_argument(
            "--allow-worse", action="store_true", help="publish variants in spite of their figures; the card says so"
        )
    if name == "evaluate":
        command.add_argument(
            "--artefact", type=Path, metavar="FILE", help="measure this file (.onnx, .xml, .pt, .pt2), not the variants"
        )
    if name == "verify":
        command.add_argument(
            "--server", metavar="HOST:PORT", help="measure a server that is running, instead of starting one"
        )
        command.add_argument("--model", metavar="NAME", help="its model (default: publish.name)")
