"""A real server whose fronts fail while they are set up, in one of several ways.

`python -m tests.failing_fronts WAY LIMIT_S -m pasarela_server FLAGS…` runs it; LIMIT_S is what its fronts have until they
listen. Each front writes `a front, PID` to stderr first.
"""

import functools
import os
import signal
import socket
import sys

from pasarela_server.frontends.settings import VARIABLE, FrontSettings


def hangs():
    """Does nothing, whatever signal comes."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def says_half_a_message():
    settings = FrontSettings.from_text(os.environ[VARIABLE])
    with socket.socket(fileno=settings.link_fd) as link:
        link.sendall(b"\4\0\0")
        hangs()


def cannot_be_imported():
    raise ImportError("a front lacks something")


def is_deaf():
    """Its end of the link cannot be set up."""
    from pasarela_server.frontends.__main__ import main
    from pasarela_server.frontends.channel import Channel

    Channel.connection_made = _refuse
    sys.exit(main())


def tells_its_limit():
    """Does not fail: writes what is left of its limit when it says that it listens."""
    from pasarela_server.frontends.__main__ import main
    from pasarela_server.frontends.channel import Channel
    from pasarela_server.frontends.link import Ready

    post = Channel.post

    def posts(self, message):
        if isinstance(message, Ready):
            sys.stderr.write(f"left of its limit: {signal.getitimer(signal.ITIMER_REAL)[0]:g} s\n")
        post(self, message)

    Channel.post = posts
    sys.exit(main())


def finds_its_back_deaf():
    """Does not fail itself: the back's end of the link cannot be set up."""
    from pasarela_server.frontends.__main__ import main

    sys.exit(main())


WAYS = {
    way.__name__: way
    for way in (hangs, says_half_a_message, cannot_be_imported, is_deaf, tells_its_limit, finds_its_back_deaf)
}


def _refuse(channel, transport):
    raise RuntimeError("no end for a link")


def _front(way):
    sys.stderr.write(f"a front, {os.getpid()}\n")
    sys.stderr.flush()
    WAYS[way]()


def _server(way, limit_s, arguments):
    from pasarela_server import app
    from pasarela_server.__main__ import main
    from pasarela_server.frontends import launch
    from pasarela_server.frontends.channel import Channel
    from pasarela_server.frontends.supervise import FrontOptions

    launch.COMMAND = (sys.executable, __file__, way)
    app.FrontOptions = functools.partial(FrontOptions, set_up_s=float(limit_s))  # type: ignore[attr-defined]
    if way == finds_its_back_deaf.__name__:
        Channel.connection_made = _refuse
    return main(arguments)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _front(sys.argv[1])
    else:  # what stands before the server's flags is the way, the limit, and the command of an ordinary server
        flags = sys.argv[sys.argv.index("pasarela_server") + 1 :]
        sys.exit(_server(sys.argv[1], sys.argv[2], flags))
