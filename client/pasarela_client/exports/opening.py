"""Which writer for which file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

from pasarela_client.errors import InvalidRequest
from pasarela_client.exports.annotations import Annotations
from pasarela_client.exports.coco_file import CocoDatasetExport, CocoResultsExport
from pasarela_client.exports.csv_table import CsvExport
from pasarela_client.exports.export import Export
from pasarela_client.exports.json_lines import JsonLinesExport
from pasarela_client.exports.parquet_table import ParquetExport, require_pyarrow
from pasarela_client.exports.yolo_folder import YoloExport, is_label_file
from pasarela_client.unfinished import Unfinished, UnfinishedFile, UnfinishedFolder, naming

Format = Literal["coco", "coco-results", "jsonl", "csv", "parquet", "yolo"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

BY_SUFFIX: Final[Mapping[str, Format]] = {
    ".json": "coco",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def format_of(path: str | Path) -> Format:
    """The format that a path stands for: by its suffix; `yolo` for a folder that is there, or a path that ends in `/`.

    Raises:
        InvalidRequest: It does not tell.
    """
    if known := BY_SUFFIX.get(Path(path).suffix.lower()):
        return known
    if os.fspath(path).endswith("/") or Path(path).is_dir():
        return "yolo"
    suffixes = ", ".join(BY_SUFFIX)
    raise InvalidRequest(
        f"cannot tell the format from {str(path)!r}: end it in one of {suffixes}, or in / for a folder of YOLO labels; "
        f"or say the format: {', '.join(FORMATS)}"
    )


def open_export(
    path: str | Path,
    format: Format | None = None,  # noqa: A002 - what it is
    *,
    overwrite: bool = False,
    names: Mapping[int, str] | Sequence[str] | None = None,
    annotations: str | Path | None = None,
    scores: bool = True,
    timings: bool = False,
) -> Export:
    """A writer of results, for a `with` block.

    ::

        with open_export("found.csv") as export:
            for result in detector.detect_stream(frames):
                export.add(result)

    The formats:

    - `coco`: a dataset with images, categories and annotations, which `pycocotools` opens; failed frames are left out.
    - `coco-results`: the list that its `loadRes` reads; failed frames are left out.
    - `jsonl`: a line of JSON a result; a failed frame is a line with `error`. `read_json_lines` reads it.
    - `csv` and `parquet`: a row a detection, and a row with `error` a failed frame.
    - `yolo`: a folder with a text file an image; a failed image has none.

    Args:
        path: The file, or for YOLO the folder. `/dev/stdout` and other pipes are written to as results come.
        format: The format; None takes it from the path, as `format_of` says.
        overwrite: Whether to replace what is there, once the new is complete.
        names: All classes of the model, for the categories of COCO and `classes.txt` of YOLO; else those found.
        annotations: Of COCO: a file of annotations whose ids of images and categories are taken, by file name and
            class name, so that the results can be compared with it.
        scores: Of YOLO: whether a line ends with the score; training takes labels without.
        timings: Of JSON lines: whether to add where the time of each went.

    Raises:
        InvalidRequest: The path tells no format, exists already, or an option does not belong to the format.
        ExportFailed: Nothing can be written there.
        MissingExtra: The format needs a package that is not installed.
    """
    chosen = format or format_of(path)
    if chosen not in FORMATS:
        raise InvalidRequest(f"a format is one of {', '.join(FORMATS)}, not {chosen!r}")
    for option, given, takers in (
        ("annotations", annotations is not None, ("coco", "coco-results")),
        ("scores", not scores, ("yolo",)),
        ("timings", timings, ("jsonl",)),
    ):
        if given and chosen not in takers:
            raise InvalidRequest(f"{option} is for {' and '.join(takers)}, not for {chosen}")
    by_id = names if isinstance(names, Mapping) or names is None else dict(enumerate(names))
    if chosen == "yolo":
        folder = UnfinishedFolder(path, overwrite=overwrite, is_replaceable=is_label_file)
        return _or_discard(folder, lambda: YoloExport(folder, names=by_id, scores=scores))
    truth = None if annotations is None else Annotations.read(annotations)
    if chosen == "parquet":
        require_pyarrow()
    file = UnfinishedFile(path, overwrite=overwrite)
    makers: dict[Format, Callable[[], Export]] = {
        "coco": lambda: CocoDatasetExport(file, annotations=truth, names=by_id),
        "coco-results": lambda: CocoResultsExport(file, annotations=truth),
        "jsonl": lambda: JsonLinesExport(file, timings=timings),
        "csv": lambda: CsvExport(file),
        "parquet": lambda: ParquetExport(file),
    }
    return _or_discard(file, makers[chosen])


def _or_discard(target: Unfinished, make: Callable[[], Export]) -> Export:
    """The writer; if it cannot begin, nothing is left of its target."""
    try:
        with naming(target.path):
            return make()
    except BaseException:
        target.discard()
        raise
