"""A real server that also knows the backend of `hostile_backend`; run it as the server is run."""

import sys

from pasarela_server import loading
from pasarela_server.__main__ import main
from tests.hostile_backend import HostileLoader

if __name__ == "__main__":
    known = loading.loaders
    loading.loaders = lambda: {**known(), HostileLoader.name: HostileLoader()}
    sys.exit(main())
