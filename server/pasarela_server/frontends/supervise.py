"""The fronts as the back sees them: started, started again when one dies, told to stop, ended."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import grpc

from pasarela_server.frontends.deadline import Overdue, before
from pasarela_server.frontends.endings import Ending, Hand, describe, refusal
from pasarela_server.frontends.launch import Desk, FrontProcess, launch
from pasarela_server.frontends.link import CannotListen, LogChanged, Message, Quit, Ready, Stop
from pasarela_server.frontends.settings import FrontSettings
from pasarela_server.observability.logging import DEFAULT_SETTINGS, LogSettings
from pasarela_server.processes.memory import SharedMemory
from pasarela_server.processes.restart import RestartDelay
from pasarela_server.rpc.address import hold_port
from pasarela_server.security.settings import UNSECURED, SecuritySettings

_log = logging.getLogger("pasarela_server.frontends")

SET_UP_S = 60.0
"""How long a front may take, by default, from its start until it listens. A second or two is usual."""
_LAST_WORDS_S = 3.0
"""How long a front that was told to end may take beyond its grace, before it is killed."""
_UNLINKED_S = 10.0
"""How long a process may go on that has no link any more: nobody can tell it anything."""


class FrontsUnavailable(Exception):
    """Fronts cannot be had on this machine, or do not start; the message says why."""


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
    set_up_s: float = SET_UP_S
    """How long a front may take until it listens; then it is ended, and one that never listened ends the start."""


class Fronts:
    """Owns the processes, the socket behind them and the port before them. Used from the event loop only."""

    def __init__(
        self,
        options: FrontOptions,
        reception: Reception,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Takes the port, and a folder for the socket that only this user can reach.

        Args:
            options: What the fronts are told.
            reception: Builds what serves a front.
            sleep: Waits for so many seconds.

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
        self._sleep = sleep
        self._holder = hold_port(options.address, options.port)
        self.port: int = self._holder.getsockname()[1]
        self._folder = _private_folder()
        self._back = f"unix:{self._folder / 'back.sock'}"
        self._fronts: dict[int, FrontProcess] = {}
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

        One that is killed meanwhile is started again, as later. Whoever cancels this has to `close`.

        Raises:
            FrontsUnavailable: One does not start, or not in time.
        """
        loop = asyncio.get_running_loop()
        try:
            self._reception.start()
        except RuntimeError as error:
            await self.close(0.0)
            raise FrontsUnavailable(f"there is no thread for what serves the fronts ({error})") from error
        listen: list[asyncio.Future[None]] = [loop.create_future() for _ in range(self._options.count)]
        for index, first in enumerate(listen):
            keeper = asyncio.create_task(self._keep(index, first))
            keeper.add_done_callback(functools.partial(_no_longer_kept, first))
            self._keepers.append(keeper)
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
        await asyncio.gather(*(front.idle.wait() for front in self._fronts.values() if front.listens))

    async def close(self, grace_s: float) -> None:
        """Ends all processes, and gives back the port. One that does not listen yet has nothing to finish.

        Args:
            grace_s: How long the last replies may take to leave.
        """
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for front in self._fronts.values():
            if front.listens:
                front.link.post(Quit(grace_s))
        await asyncio.gather(*(self._quit(front, grace_s) for front in self._fronts.values()))
        self._fronts.clear()
        self._holder.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _quit(self, front: FrontProcess, grace_s: float) -> None:
        try:
            await (self._ends(front, grace_s + _LAST_WORDS_S) if front.listens else front.kill())
        finally:
            front.link.close()

    async def _keep(self, index: int, first: asyncio.Future[None]) -> None:
        """Starts a front, and again whenever it dies.

        Args:
            index: Which.
            first: Told when it listens for the first time; or why it does not, which is the end of it.
        """
        delay = RestartDelay()
        limit_s = self._options.set_up_s
        for start in itertools.count(1):
            began_s = time.monotonic()
            ending = await self._live(index, first)
            if not first.done() and (why := refusal(ending, start, limit_s)):
                first.set_exception(FrontsUnavailable(why))
                return
            wait_s = delay.after(time.monotonic() - began_s)
            _log.error("%s; it is started again in %g s", describe(ending, limit_s), wait_s)
            await self._sleep(wait_s)

    async def _live(self, index: int, first: asyncio.Future[None]) -> Ending:
        """One start of a front, to the end of its process."""
        name = f"front {index}"
        due = asyncio.ensure_future(self._sleep(self._options.set_up_s))
        try:
            front = await before(due, asyncio.create_task(self._launch(index)))
            name += f" (process {front.process.pid})"
            word = await _first_word(front, due)
        except Overdue:
            return Ending(name, hand=Hand.OVERDUE)
        except Exception as error:  # noqa: BLE001 - whatever the system lacks now, it may have later
            return Ending(name, reason=f"{type(error).__name__}: {error}")
        finally:
            due.cancel()
        match word:
            case Ready() if first.done():
                _log.info("%s listens", name)
            case Ready():
                first.set_result(None)
            case CannotListen():
                front.link.close()
        hand = await self._outlived(front)
        return Ending(name, front.ended.result(), hand, word.reason if isinstance(word, CannotListen) else "")

    async def _launch(self, index: int) -> FrontProcess:
        options, log = self._options, self._log
        told = functools.partial(
            FrontSettings,
            index,
            back=self._back,
            address=options.address,
            port=self.port,
            max_message_bytes=options.max_message_bytes,
            queue_full_status=options.queue_full_status,
            image_threads=options.image_threads,
            log=log.to_text(),
            set_up_s=options.set_up_s,
            traced=options.traced,
            security=options.security,
        )
        front = self._fronts[index] = await launch(told, self._reception.open, options.arena_bytes)
        if self._log != log:
            front.link.post(LogChanged(self._log.to_text()))
        if self._stopping:
            front.link.post(Stop())
        return front

    async def _outlived(self, front: FrontProcess) -> Hand:
        """Waits for the end of a process. Without a link it can be told nothing any more, and is not to go on."""
        await asyncio.wait((front.ended, front.unlinked), return_when=asyncio.FIRST_COMPLETED)
        return Hand.NOT_OURS if await self._ends(front, _UNLINKED_S) else Hand.UNLINKED

    async def _ends(self, front: FrontProcess, timeout_s: float) -> bool:
        """Whether a process ends in time; else it is killed. It has ended in any case."""
        due = asyncio.ensure_future(self._sleep(timeout_s))
        try:
            await asyncio.wait((front.ended, due), return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
        if front.ended.done():
            return True
        _log.warning("front process %d did not end in %g s and is killed", front.process.pid, timeout_s)
        await front.kill()
        return False


async def _first_word(front: FrontProcess, due: asyncio.Future[None]) -> Ready | CannotListen | None:
    """See `FrontProcess.first_word`.

    Raises:
        Overdue: The front has not said it in time, and has been ended.
    """
    try:
        return await before(due, front.first_word)
    except Overdue:
        await front.kill()
        raise


def _no_longer_kept(first: asyncio.Future[None], keeper: asyncio.Task[None]) -> None:
    """Whoever waits for a front has to hear of a fault in what keeps it, too."""
    error = None if keeper.cancelled() else keeper.exception()
    if error is None:
        return
    _log.error("a front is not started again any more", exc_info=error)
    if not first.done():
        first.set_exception(FrontsUnavailable(f"a front cannot be kept ({type(error).__name__}: {error}); see the log"))


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
