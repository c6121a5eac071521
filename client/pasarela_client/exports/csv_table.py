"""CSV: the rows of `rows`, comma-separated, in UTF-8, with the names of the columns in the first line."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Final

from pasarela_client.detections import Detections, FrameError
from pasarela_client.exports.export import Export
from pasarela_client.exports.rows import COLUMNS, Row, row_of_error, rows_of
from pasarela_client.exports.text import encode_text
from pasarela_client.unfinished import UnfinishedFile

_QUOTED_ENDS: Final = "\r\n"
"""Before Python 3.13, `csv` quotes only those ends of lines in a name that it writes itself."""


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
        lines = _Lines()
        writer = csv.writer(lines, lineterminator=_QUOTED_ENDS)
        if not self._begun:
            writer.writerow(COLUMNS)
            self._begun = True
        writer.writerows(rows)
        self._stream.write(encode_text("".join(lines.written)))


class _Lines:
    """Takes lines as `csv` writes them, and ends them with a line feed alone."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        """One line more."""
        self.written.append(line.removesuffix(_QUOTED_ENDS) + "\n")
