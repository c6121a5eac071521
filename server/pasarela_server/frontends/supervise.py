"""The fronts as the back sees them: started, started again when one dies, told to stop, ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc

from pasarela_server.frontends.channel import Channel
from pasarela_server.frontends.link import CannotListen, Idle, LogChanged, Message, Quit, Ready, Stop
from pasarela_server.frontends.settings import VARIABLE, FrontSettings
from pasarela_server.observability.logging import DEFAULT_SETTINGS, LogSettings
from pasarela_server.processes.memory import SharedMemory
from pasarela_server.processes.restart import RestartDelay
from pasarela_server.rpc.address import hold_port
from pasarela_server.security.settings import UNSECURED, SecuritySettings

_log = logging.getLogger("pasarela_server.frontends")

_LAST_WORDS_S = 3.0
"""How long a front that was told to end may take beyond its grace, before it is killed."""
_FIRST_STARTS = 3
"""How often a front is started that is killed before it has ever listened: then the server does not start."""


class FrontsUnavailable(Exception):
    """Fronts cannot be had on this machine, or do not start; the message says why."""


class Desk(Protocol):
    """Serves one front; `desk.FrontDesk` does it. Used from the event loop only."""

    def received(self, message: Message) -> None:
        """Takes what the front says."""
        ...

    def lost(self) -> None:
        """The front has gone."""
        ...


class Reception(Protocol):
    """Opens desks; `desk.Desks` does it."""

    def start(self) -> None:
        """Starts what all desks share."""
        ...

    def open(self, post: Callable[[Message], None], memory: SharedMemory) -> Desk:
        """Builds the desk of a new front, from what sends it messages and the memory that they share."""
        ...


@dataclass(frozen=True, slots=True)
class FrontOptions:
    """What all fronts are told."""

    count: int
    address: str
    port: int
    max_message_bytes: int
    queue_full_status: str
    image_threads: int
    log: LogSettings = DEFAULT_SETTINGS
    traced: bool = False
    """Whether requests may be traced."""
    security: SecuritySettings = UNSECURED
    arena_bytes: int = 256 * 2**20
    """Memory that one front shares with the back; it is taken as it is used."""


@dataclass(slots=True, eq=False)
class _Front:
    """One process, from its start to its end."""

    process: asyncio.subprocess.Process
    link: Channel
    ready: asyncio.Future[None]
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Fronts:
    """Owns the processes, the socket behind them and the port before them. Used from the event loop only."""

    def __init__(self, options: FrontOptions, reception: Reception) -> None:
        """Takes the port, and a folder for the socket that only this user can reach.

        Args:
            options: What the fronts are told.
            reception: Builds what serves a front.

        Raises:
            FrontsUnavailable: This operating system has not what it takes, or no folder may be written.
            PortUnavailable: The port cannot be had.
        """
        missing = [
            what
            for what, there in (
                ("SO_REUSEPORT", hasattr(socket, "SO_REUSEPORT")),
                ("Unix sockets", hasattr(socket, "AF_UNIX")),
                ("memfd_create", hasattr(os, "memfd_create")),
            )
            if not there
        ]
        if missing:
            raise FrontsUnavailable(
                f"--frontends needs {' and '.join(missing)}, which {sys.platform} has not; leave it 0"
            )
        self._options = options
        self._reception = reception
        self._holder = hold_port(options.address, options.port)
        self.port: int = self._holder.getsockname()[1]
        self._folder = _private_folder()
        self._back = f"unix:{self._folder / 'back.sock'}"
        self._fronts: dict[int, _Front] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._log = options.log
        self.listening = False
        """Whether `start` has returned: all of them have listened, and whatever becomes of one, it is replaced."""

    def listen(self, server: grpc.aio.Server) -> int:
        """Lets the back's server listen where the fronts reach it; the port that clients reach."""
        server.add_insecure_port(self._back)
        return self.port

    async def start(self) -> None:
        """Starts all processes; returns when all of them listen. The back's server has to be started before.

        One that is killed meanwhile is started again, as later.

        Raises:
            FrontsUnavailable: One does not start.
        """
        self._reception.start()
        loop = asyncio.get_running_loop()
        listen: list[asyncio.Future[None]] = [loop.create_future() for _ in range(self._options.count)]
        self._keepers = [asyncio.create_task(self._keep(index, first)) for index, first in enumerate(listen)]
        try:
            await asyncio.gather(*listen)
        except FrontsUnavailable:
            await self.close(0.0)
            raise
        self.listening = True
        _log.info("%d front processes listen", len(listen))

    def change_log(self, settings: LogSettings) -> None:
        """Tells the fronts, and those that are started later, what to log."""
        self._log = settings
        for front in self._fronts.values():
            front.link.post(LogChanged(settings.to_text()))

    def stop(self) -> None:
        """Tells the fronts to take no more requests. Open ones go on."""
        self._stopping = True
        for front in self._fronts.values():
            front.link.post(Stop())

    async def wait_idle(self) -> None:
        """Returns when no front has a request of its own open; `stop` has to be called before."""
        await asyncio.gather(*(front.idle.wait() for front in self._fronts.values()))

    async def close(self, grace_s: float) -> None:
        """Ends all processes, and gives back the port.

        Args:
            grace_s: How long the last replies may take to leave.
        """
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for front in self._fronts.values():
            front.link.post(Quit(grace_s))
        await asyncio.gather(*(_ended(front, grace_s + _LAST_WORDS_S) for front in self._fronts.values()))
        self._fronts.clear()
        self._holder.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _keep(self, index: int, first: asyncio.Future[None]) -> None:
        """Starts a front, and again whenever it dies.

        Args:
            index: Which.
            first: Told when it listens for the first time; or why it does not, which is the end of it.
        """
        delay = RestartDelay()
        for start in itertools.count(1):
            began_s = time.monotonic()
            try:
                front = await self._launch(index)
            except Exception as error:  # noqa: BLE001 - whatever the system lacks now, it may have later
                died, killed = f"front {index} cannot be started ({type(error).__name__}: {error})", False
                refusal: FrontsUnavailable | None = FrontsUnavailable(died)
            else:
                refusal = await self._listens(front, first, index)
                code = await front.process.wait()
                died, killed = f"front {index} (process {front.process.pid}) ended with code {code}", code < 0
            if refusal is not None and not first.done() and not (killed and start < _FIRST_STARTS):
                first.set_exception(refusal)
                return
            wait_s = delay.after(time.monotonic() - began_s)
            _log.error("%s; it is started again in %g s", died, wait_s)
            await asyncio.sleep(wait_s)

    async def _listens(self, front: _Front, first: asyncio.Future[None], index: int) -> FrontsUnavailable | None:
        """Waits until a front listens; why it does not: then its process ends."""
        try:
            await front.ready
        except FrontsUnavailable as refusal:
            return refusal
        if first.done():
            _log.info("front %d (process %d) listens", index, front.process.pid)
        else:
            first.set_result(None)
        return None

    async def _launch(self, index: int) -> _Front:
        options = self._options
        with contextlib.ExitStack() as ours_still, contextlib.ExitStack() as theirs_too:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            ours_still.callback(ours.close)
            theirs_too.callback(theirs.close)
            arena = os.memfd_create("pasarela-arena")
            theirs_too.callback(os.close, arena)
            os.ftruncate(arena, options.arena_bytes)
            settings = FrontSettings(
                index=index,
                link_fd=theirs.fileno(),
                arena_fd=arena,
                back=self._back,
                address=options.address,
                port=self.port,
                max_message_bytes=options.max_message_bytes,
                queue_full_status=options.queue_full_status,
                image_threads=options.image_threads,
                log=self._log.to_text(),
                traced=options.traced,
                security=options.security,
            )
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "pasarela_server.frontends"),  # -P: no module of the working directory
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), arena),
                env=os.environ | {VARIABLE: settings.to_text()},
            )
            ours_still.pop_all()  # the link's from now on
            return await self._attach(index, process, ours, arena)

    async def _attach(self, index: int, process: asyncio.subprocess.Process, ours: socket.socket, arena: int) -> _Front:
        """Builds both sides of the link: what the supervisor listens to, and the desk for everything else."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ready.add_done_callback(lambda done: done.cancelled() or done.exception())

        def received(message: Message) -> None:
            match message:
                case Ready():
                    if not ready.done():  # whoever waited for it may have been cancelled
                        ready.set_result(None)
                case CannotListen():
                    if not ready.done():
                        ready.set_exception(FrontsUnavailable(message.reason))
                    link.close()
                case Idle():
                    front.idle.set()
                case _:
                    desk.received(message)

        def lost() -> None:
            front.idle.set()
            if not ready.done():
                ready.set_exception(FrontsUnavailable("a front process ended before it listened; see the log"))
            desk.lost()

        link = Channel(received, lost)
        desk = self._reception.open(link.post, SharedMemory(arena, self._options.arena_bytes))
        front = _Front(process, link, ready)
        self._fronts[index] = front
        await link.connect(ours)
        if self._stopping:
            link.post(Stop())
        return front


async def _ended(front: _Front, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(front.process.wait(), timeout_s)
    except TimeoutError:
        _log.warning("front process %d did not end in %g s and is killed", front.process.pid, timeout_s)
        front.process.kill()
        await front.process.wait()
    finally:
        front.link.close()


def _private_folder() -> Path:
    """A new folder that only this user can reach, also where the file system is read-only but for shared memory.

    Raises:
        FrontsUnavailable: There is no place for it.
    """
    reason: OSError | None = None
    for place in (None, "/dev/shm"):  # noqa: S108 - made with a name and a mode that keep others out
        try:
            return Path(tempfile.mkdtemp(prefix="pasarela-", dir=place))
        except OSError as error:
            reason = error
    raise FrontsUnavailable(
        f"--frontends needs a folder for a socket, and none may be written ({reason}); name one in TMPDIR"
    ) from reason
