"""JSON lines: a result a line, as `Detections.to_json` writes it; a failed frame is a line with `error`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pasarela_client.detections import Detections, FrameError, FrameResult
from pasarela_client.exports.export import Export
from pasarela_client.exports.text import encode_text
from pasarela_client.places import name_origin
from pasarela_client.unfinished import UnfinishedFile


class JsonLinesExport(Export):
    """Writes JSON lines."""

    def __init__(self, target: UnfinishedFile, *, timings: bool = False) -> None:
        """Begins.

        Args:
            target: Where to write.
            timings: Whether to add to each result where its time went.
        """
        super().__init__(target)
        self._stream = target.stream
        self._timings = timings

    def _add_found(self, found: Detections) -> None:
        self._write(found, found.to_dict(timings=self._timings))

    def _add_error(self, error: FrameError) -> None:
        self._write(error, error.to_dict())

    def _write(self, result: FrameResult, content: Mapping[str, Any]) -> None:
        origin = name_origin(result)
        line = {"origin": origin, **content} if origin else content
        self._stream.write(encode_text(json.dumps(line, ensure_ascii=False) + "\n"))


def read_json_lines(path: str | Path) -> Iterator[FrameResult]:
    """The results in a file of JSON lines, one at a time, without their images.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line holds no result; the message says which.
    """
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield _read_line(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error


def _read_line(line: bytes) -> FrameResult:
    content = json.loads(line)
    if not isinstance(content, dict):
        raise ValueError(f"a result is a JSON object, not {type(content).__name__}")  # noqa: TRY004 - of the line
    return FrameError.from_dict(content) if "error" in content else Detections.from_dict(content)
