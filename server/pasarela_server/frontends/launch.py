"""One front as the back sees it: its process, and this end of its link. Both are there, or neither."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pasarela_server.frontends.channel import Channel
from pasarela_server.frontends.link import CannotListen, Idle, Message, Ready
from pasarela_server.frontends.settings import VARIABLE, FrontSettings
from pasarela_server.processes.memory import SharedMemory

COMMAND = (sys.executable, "-P", "-m", "pasarela_server.frontends")
"""Starts a front. -P: no module of the working directory gets into it."""


class Desk(Protocol):
    """Serves one front; `desk.FrontDesk` does it. Used from the event loop only."""

    def received(self, message: Message) -> None:
        """Takes what the front says."""
        ...

    def lost(self) -> None:
        """The front has gone."""
        ...


OpenDesk = Callable[[Callable[[Message], None], SharedMemory], Desk]
"""Builds the desk of a new front, from what sends it messages and the memory that they share."""


class TellFront(Protocol):
    """Completes the settings of a new front."""

    def __call__(self, *, link_fd: int, arena_fd: int) -> FrontSettings:
        """The settings, with the descriptors that the front inherits."""
        ...


@dataclass(slots=True, eq=False)
class FrontProcess:
    """One process, from its start to its end. Used from the event loop only."""

    process: asyncio.subprocess.Process
    ended: asyncio.Task[int]
    """Its code."""
    link: Channel
    first_word: asyncio.Future[Ready | CannotListen | None]
    """What it says of itself when it has been set up; None if the link was lost before. May be cancelled."""
    unlinked: asyncio.Future[None]
    """Is done when there is no link any more."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether it was told to stop, and has no request of its own open."""

    @property
    def listens(self) -> bool:
        """Whether clients have been able to reach it."""
        word = self.first_word
        return word.done() and not word.cancelled() and isinstance(word.result(), Ready)

    async def kill(self) -> None:
        """Ends the process at once, if it has not ended, and waits for its end."""
        await _end(self.process, self.ended)


async def launch(settings: TellFront, open_desk: OpenDesk, arena_bytes: int) -> FrontProcess:
    """Starts a process and links it.

    If anything fails, or whoever waits is cancelled, what was begun is ended before the error is raised.

    Args:
        settings: What the front is told.
        open_desk: See there.
        arena_bytes: Memory that both share.

    Raises:
        OSError: The system has no room for it.
        Exception: Whatever building this end of the link raises.
    """
    async with contextlib.AsyncExitStack() as undo, contextlib.AsyncExitStack() as theirs_too:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        undo.callback(ours.close)
        theirs_too.callback(theirs.close)
        arena = os.memfd_create("pasarela-arena")
        theirs_too.callback(os.close, arena)
        os.ftruncate(arena, arena_bytes)
        process = await _started(settings(link_fd=theirs.fileno(), arena_fd=arena), (theirs.fileno(), arena))
        ended = asyncio.create_task(process.wait())
        undo.push_async_callback(_end, process, ended)
        front = _front(process, ended, open_desk, SharedMemory(arena, arena_bytes))
        undo.callback(front.link.close)
        await front.link.connect(ours)
        undo.pop_all()
    return front


def _front(
    process: asyncio.subprocess.Process, ended: asyncio.Task[int], open_desk: OpenDesk, memory: SharedMemory
) -> FrontProcess:
    """Builds this end: what the supervisor listens to, and the desk for everything else."""
    loop = asyncio.get_running_loop()

    def received(message: Message) -> None:
        match message:
            case Ready() | CannotListen():
                if not front.first_word.done():  # whoever waited for it may have been cancelled
                    front.first_word.set_result(message)
            case Idle():
                front.idle.set()
            case _:
                desk.received(message)

    def lost() -> None:
        front.idle.set()
        front.unlinked.set_result(None)
        if not front.first_word.done():
            front.first_word.set_result(None)
        desk.lost()

    link = Channel(received, lost)
    desk = open_desk(link.post, memory)
    front = FrontProcess(process, ended, link, loop.create_future(), loop.create_future())
    return front


async def _started(settings: FrontSettings, inherited: tuple[int, ...]) -> asyncio.subprocess.Process:
    """The process; if whoever waits is cancelled while the system starts it, it is ended."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=inherited,
            env=os.environ | {VARIABLE: settings.to_text()},
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        await _end(process, asyncio.create_task(process.wait()))
        raise


async def _end(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    """Kills a process and waits for its end, which is near, even if whoever waits for this is cancelled."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    try:
        await asyncio.wait((ended,))
    except asyncio.CancelledError:
        await asyncio.wait((ended,))
        raise
