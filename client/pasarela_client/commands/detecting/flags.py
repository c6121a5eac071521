"""The flags of `pasarela detect`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pasarela_client.commands.detecting.wire import USUAL_QUALITY, parse_jpeg

WINDOW: Final = 8
"""Frames of a video or camera under way at a time, if nobody says otherwise."""

EPILOG: Final = """\
SOURCE is one of these, or several of the first four:
  street.jpg            a file: JPEG, PNG, WebP, BMP, or a video
  photos/               a folder: its images and videos, in natural order; --recursive for those below it
  'photos/**/*.png'     a glob, quoted
  frames/%06d.jpg       a numbered sequence
  0, /dev/video0        a webcam
  rtsp://host/stream    a camera; http:// too; it is connected to again when it was lost
  -                     what is piped in: paths, one a line; or images one after the other, MJPEG too; or a video

examples:
  pasarela detect street.jpg
  pasarela detect photos/ --save found/ --conf 0.5
  pasarela detect 'photos/**/*.png' --classes skirt,trousers --json > found.jsonl
  pasarela detect clip.mp4 --save found.mp4 --every 2
  pasarela detect rtsp://10.0.0.5/live --save recordings/ --deadline 0.5 --quiet
  find photos -name '*.jpg' -newer last-run | pasarela detect - --csv found.csv
  pasarela detect photos/ --recursive --coco found.json --yolo labels/ --quiet
  pasarela detect street.jpg --timings

Results go to stdout, everything else to stderr: bar and summary, what failed and why. A file of results, and a video,
takes its place when it is whole. Ctrl-C leaves none that is not; but what live sources gave is kept, playable.

exit codes: 0 all done (what was left out to keep up is no failure); 1 some failed, or nothing could be written;
2 wrong usage; 3 no server; 130 Ctrl-C; 141 the reader of the output went away; 143 SIGTERM, which is as Ctrl-C
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.description = "Finds the objects on images, videos and cameras, in their order, and prints or saves them."
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="what to detect on, see below")
    _add_what_to_ask(parser)
    _add_what_to_take(parser)
    _add_where_to(parser)


def _add_what_to_ask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="garments", help="model to ask (default: %(default)s)")
    parser.add_argument("--model-version", default="", metavar="N", help="version of it (default: the highest ready)")
    parser.add_argument("--conf", type=float, metavar="X", help="lowest score, 0 to 1 (default: the model's)")
    parser.add_argument("--iou", type=float, metavar="X", help="overlap allowed in a class (default: the model's)")
    parser.add_argument("--classes", type=_parse_classes, metavar="A,B", help="only these classes, by name or id")
    parser.add_argument("--max", type=int, metavar="N", help="at most so many detections an image, best first")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="seconds to wait (default: 30)")
    parser.add_argument(
        "--window",
        type=int,
        metavar="N",
        help=f"images under way at a time (default: {WINDOW} for videos and cameras; for files, what the server takes)",
    )


def _add_what_to_take(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("videos, cameras and many files")
    group.add_argument("--recursive", action="store_true", help="folders stand for those below them, too")
    group.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th frame, or file")
    group.add_argument("--max-frames", type=int, metavar="N", help="end after so many")
    group.add_argument(
        "--drop-oldest",
        action=argparse.BooleanOptionalAction,
        help="leave frames out rather than fall behind (default: for cameras, and with --live)",
    )
    group.add_argument("--live", action="store_true", help="take recorded videos as if they happened now")
    group.add_argument("--deadline", type=float, metavar="S", help="give frames up that are not answered in so long")
    group.add_argument(
        "--reconnect", type=float, default=60.0, metavar="S", help="wait so long for a lost camera (default: 60)"
    )
    group.add_argument(
        "--jpeg",
        type=parse_jpeg,
        default=USUAL_QUALITY,
        metavar="QUALITY",
        help="send frames of videos and cameras as JPEG of this quality, 1 to 95; 'off' sends their pixels, exactly "
        "(default: %(default)s)",
    )


def _add_where_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument(
        "--save",
        type=Path,
        metavar="PLACE",
        help="draw the boxes and write pictures and videos: into a folder, or one .mp4, .mov, .mkv, .jpg or .png",
    )
    group.add_argument("--json", action="store_true", help="print one line of JSON an image")
    group.add_argument("--csv", type=Path, metavar="FILE", help="write a row a detection (- prints it)")
    group.add_argument("--coco", type=Path, metavar="FILE", help="write a COCO dataset, in JSON (- prints it)")
    group.add_argument("--parquet", type=Path, metavar="FILE", help="write a Parquet table; needs pyarrow")
    group.add_argument("--yolo", type=Path, metavar="DIR", help="write a text file of labels an image")
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that are there (pictures and videos in a folder always are)",
    )
    group.add_argument("--timings", action="store_true", help="show for each image where its time went")
    group.add_argument("--quiet", action="store_true", help="no tables, no bar, no summary: only --json, and failures")


def _parse_classes(text: str) -> list[str | int]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return [int(entry) if entry.isdecimal() else entry for entry in entries]
