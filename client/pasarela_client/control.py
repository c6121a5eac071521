"""The server itself, for threads and for asyncio.

::

    from pasarela_client.control import Server

    with Server("127.0.0.1:8001") as server:
        print(server.metadata(), server.models())

Import it by this name, the package does not: it loads the messages of the Open Inference Protocol, which cannot live
in one process with another library's copy of them (tritonclient's, for one).
"""

from pasarela_client.aio.control import AsyncServer
from pasarela_client.sync.control import Server

__all__ = ["AsyncServer", "Server"]
