"""CSV: the rows of `rows`, comma-separated, in UTF-8, with the names of the columns in the first line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from pasarela_client.detections import Detections, FrameError
from pasarela_client.exports.export import Export
from pasarela_client.exports.rows import COLUMNS, Row, row_of_error, rows_of
from pasarela_client.exports.text import encode_text
from pasarela_client.unfinished import UnfinishedFile


class CsvExport(Export):
    """Writes CSV."""

    def __init__(self, target: UnfinishedFile) -> None:
        super().__init__(target)
        self._stream = target.stream
        self._begun = False

    def _add_found(self, found: Detections) -> None:
        self._write(rows_of(found))

    def _add_error(self, error: FrameError) -> None:
        self._write([row_of_error(error)])

    def _finish(self) -> None:
        self._write([])

    def _write(self, rows: Iterable[Row]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._begun:
            writer.writerow(COLUMNS)
            self._begun = True
        writer.writerows(rows)
        self._stream.write(encode_text(text.getvalue()))
