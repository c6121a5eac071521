"""Parquet: the rows of `rows` as typed columns."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, Final

from pasarela_client.detections import Detections, FrameError
from pasarela_client.errors import MissingExtra
from pasarela_client.exports.export import Export
from pasarela_client.exports.rows import COLUMNS, Row, row_of_error, rows_of
from pasarela_client.exports.text import encode_text
from pasarela_client.unfinished import UnfinishedFile

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP: Final = 32_768
"""Rows that are kept until they are written together."""

_TYPES: Final = {
    "frame_index": "int64",
    "timestamp_s": "float64",
    "width": "int32",
    "height": "int32",
    "class_id": "int32",
    "score": "float32",
    "left": "float32",
    "top": "float32",
    "right": "float32",
    "bottom": "float32",
}
"""Of the columns that are not text."""


def require_pyarrow() -> None:
    """Raises `MissingExtra` unless pyarrow is installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtra("Parquet needs pyarrow: pip install 'pasarela-client[parquet]'") from error


class ParquetExport(Export):
    """Writes Parquet. `require_pyarrow` comes before."""

    def __init__(self, target: UnfinishedFile) -> None:
        import pyarrow.parquet as pq

        super().__init__(target)
        self._schema = _schema()
        self._sink = _Sink(target.stream)
        self._writer: Any = pq.ParquetWriter(self._sink, self._schema)
        self._rows: list[Row] = []

    def _add_found(self, found: Detections) -> None:
        self._keep(rows_of(found))

    def _add_error(self, error: FrameError) -> None:
        self._keep([row_of_error(error)])

    def _finish(self) -> None:
        self._write()
        self._writer.close()

    def _release(self) -> None:
        self._rows = []
        self._sink.given_up = True
        self._writer.close()

    def _keep(self, rows: Any) -> None:
        self._rows += rows
        if len(self._rows) >= ROW_GROUP:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa

        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [
            pa.array(_clean(values) if pa.types.is_string(field.type) else values, field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


class _Sink(io.RawIOBase):
    """What pyarrow writes to. A writer that is given up still writes the end of its file, which then goes nowhere."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self.given_up = False

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        return len(content) if self.given_up else self._stream.write(content)


def _clean(texts: tuple[str | None, ...]) -> list[str | None]:
    """Valid UTF-8 only."""
    return [text if text is None or text.isascii() else encode_text(text).decode() for text in texts]


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(column, pa.type_for_alias(_TYPES.get(column, "string"))) for column in COLUMNS])
