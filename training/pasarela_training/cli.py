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
    "export": "write the trained model as TorchScript, ONNX and OpenVINO, and check each against itself in batches",
    "evaluate": "measure mAP of every exported variant, as it will be served, on val and test",
    "publish": "put the variants into the model repository, unless what was measured forbids it",
    "run": "do all of the above",
}

DESCRIPTION = """\
From images to a published detector. One YAML file says everything; a first run is

  pasarela-training run --config training/configs/demo.yaml

Each stage is also a command of its own. A stage first brings up to date what it reads, and is skipped
when its output was already made by the same part of the configuration from the same inputs.
Ctrl-C stops at any time; the same command goes on later.
"""


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
            description=f"{purpose[0].upper()}{purpose[1:]}.\n\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the YAML file that describes the run"
        )
    return root
