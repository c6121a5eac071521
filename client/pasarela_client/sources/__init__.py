"""Where frames come from: files, folders, videos, cameras, pipes.

`open_source` understands what a person names; everything else here is how.
"""

from pasarela_client.sources.opening import open_source
from pasarela_client.sources.source import Source

__all__ = ["Source", "open_source"]
