"""Results into files, one at a time as they come: `open_export` picks the writer."""

from pasarela_client.exports.export import Export
from pasarela_client.exports.json_lines import read_json_lines
from pasarela_client.exports.opening import FORMATS, Format, format_of, open_export

__all__ = ["FORMATS", "Export", "Format", "format_of", "open_export", "read_json_lines"]
