"""A real server that also knows the backend of `hostile_backend`.

For `start_server(…, under=HOSTILE)`: what stands before the server's own command.
"""

import os
import sys
from pathlib import Path

from pasarela_server import loading
from pasarela_server.__main__ import main
from pasarela_server.backends import loaders
from tests.hostile_backend import HostileLoader

HOSTILE = (sys.executable, "-m", "tests.hostile_server")
_INSTEAD_OF = ["-m", "pasarela_server"]

if __name__ == "__main__":
    # The processes of models find the loader there: they do not look into the working directory.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        (str(Path(__file__).resolve().parents[1]), *filter(None, (os.environ.get("PYTHONPATH"),)))
    )
    known = loaders()
    loading.loaders = lambda: {**known, HostileLoader.name: HostileLoader()}  # type: ignore[attr-defined]
    arguments = sys.argv[1:]
    sys.exit(main(arguments[3:] if arguments[1:3] == _INSTEAD_OF else arguments))
