"""`pasarela detect`: what is on these images?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from pasarela_client.commands import WrongUsage
from pasarela_client.commands.bars import format_timings
from pasarela_client.commands.paths import NothingFound, expand, unused_names
from pasarela_client.commands.tables import format_detections
from pasarela_client.detections import Detections
from pasarela_client.errors import (
    ImageUnreadable,
    InvalidModel,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    Unsupported,
)
from pasarela_client.sync.detector import Detector

_CONCERNS_ALL: Final = (ModelNotFound, ModelUnavailable, InvalidModel, Unsupported)
"""What is wrong with one image because of the model is wrong with all of them."""

_EPILOG = """\
examples:
  pasarela detect street.jpg
  pasarela detect photos/ --save found/ --conf 0.5
  pasarela detect 'photos/**/*.png' --classes skirt,trousers --json > found.jsonl
  pasarela detect street.jpg --timings

exit codes: 0 all images done; 1 some failed (they are listed on stderr); 2 wrong usage; 3 no server; 130 Ctrl-C
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = "Finds the objects on images, in the order given, and prints them."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file, folder, or quoted glob")
    parser.add_argument("--model", default="garments", help="model to ask (default: %(default)s)")
    parser.add_argument("--model-version", default="", metavar="N", help="version of it (default: the highest ready)")
    parser.add_argument("--conf", type=float, metavar="X", help="lowest score, 0 to 1 (default: the model's)")
    parser.add_argument("--iou", type=float, metavar="X", help="overlap allowed in a class (default: the model's)")
    parser.add_argument("--classes", type=_parse_classes, metavar="A,B", help="only these classes, by name or id")
    parser.add_argument("--max", type=int, metavar="N", help="at most so many detections an image, best first")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the images with boxes on them here")
    parser.add_argument("--json", action="store_true", help="print one line of JSON an image")
    parser.add_argument("--timings", action="store_true", help="show for each image where its time went")
    parser.add_argument("--window", type=int, default=8, metavar="N", help="images under way at a time (default: 8)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="seconds to wait (default: 30)")


def run(arguments: argparse.Namespace) -> int:
    """Detects, prints and saves; returns the exit code.

    Raises:
        PasarelaError: Nothing more can be done, for any image.
    """
    failures: list[str] = []
    paths: list[Path] = []
    for argument in arguments.images:
        try:
            paths += expand(argument)
        except NothingFound as error:
            _report(str(error), failures)
    folder: Path | None = arguments.save
    targets = list(unused_names(paths, folder)) if folder else []
    if folder:
        _prepare(folder, paths, targets)
    with Detector(
        arguments.url, arguments.model, version=arguments.model_version, timeout_s=arguments.timeout
    ) as detector:
        results = detector.detect_stream(
            paths,
            window=arguments.window,
            confidence=arguments.conf,
            iou=arguments.iou,
            classes=arguments.classes,
            max_detections=arguments.max,
        )
        for index, result in enumerate(results):
            path = paths[index]
            if not isinstance(result, Detections):
                if isinstance(result.error, _CONCERNS_ALL):
                    raise result.error
                named = isinstance(result.error, ImageUnreadable)
                _report(f"{'' if named else f'{path}: '}{result.error}", failures)
                continue
            saved = _save(path, result, targets[index], failures) if folder else None
            _print(path, result, saved, as_json=arguments.json, timings=arguments.timings)
    if failures and len(paths) > 1:
        print(f"pasarela: {len(failures)} failed, see above", file=sys.stderr)
    return 1 if failures else 0


def _parse_classes(text: str) -> list[str | int]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return [int(entry) if entry.isdecimal() else entry for entry in entries]


def _prepare(folder: Path, paths: list[Path], targets: list[Path]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUsage(f"--save {folder}: {error.strerror}") from error
    sources = {path.resolve() for path in paths}
    for target in targets:
        if target.resolve() in sources:
            raise WrongUsage(f"--save {folder} would overwrite {target}; choose another folder")


def _save(path: Path, found: Detections, target: Path, failures: list[str]) -> Path | None:
    try:
        found.draw(path).save(target, quality=92)
    except (OSError, ValueError, PasarelaError) as error:
        _report(f"{path}: cannot save as {target}: {error}", failures)
        return None
    return target


def _print(path: Path, found: Detections, saved: Path | None, *, as_json: bool, timings: bool) -> None:
    if as_json:
        line = {"image": str(path), **found.to_dict()} | ({"saved": str(saved)} if saved else {})
        line |= {"timings": found.timings.to_dict()} if timings else {}
        print(json.dumps(line, ensure_ascii=False), flush=True)
        return
    text = format_detections(path, found, saved)
    print(f"{text}\n{format_timings(found.timings, indent='  ')}" if timings else text, flush=True)


def _report(message: str, failures: list[str]) -> None:
    failures.append(message)
    print(f"pasarela: {message}", file=sys.stderr)
