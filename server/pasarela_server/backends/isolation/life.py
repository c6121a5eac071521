"""One process of a model, from its start to its end, as the server sees it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from pasarela_server.backends.isolation.endings import describe_ending
from pasarela_server.backends.isolation.lane import Lane
from pasarela_server.backends.isolation.messages import Begin, Close, LogChanged, Message
from pasarela_server.backends.isolation.settings import VARIABLE, LaneFds, ProcessSettings
from pasarela_server.backends.isolation.wire import receive, send, send_at_once

_LAST_WORDS_S = 3.0
"""How long a process that was told to end may take, before it is killed."""


class Ends(NamedTuple):
    """What the new process inherits."""

    control_fd: int
    lanes: tuple[LaneFds, ...]


class Life:
    """Owns the process and this side of what it shares. The thread that starts it has to outlive it."""

    def __init__(self, count: int, settings: Callable[[Ends], ProcessSettings]) -> None:
        """Starts the process.

        Args:
            count: Sessions.
            settings: What the process is told, from what it inherits.

        Raises:
            OSError: The system has no room for it.
        """
        self.began_s = time.monotonic()
        self.ended = threading.Event()
        """The process has ended, and `ending` says how."""
        self.ending = ""
        self.doomed = False
        """Whether it is as good as dead: nothing new should be sent to it."""
        self.told = False
        """Whether the process has said why it will end."""
        self._verdict = ""
        self._lock = threading.Lock()
        with ExitStack() as theirs, ExitStack() as ours:
            self._control = _pair(ours, theirs)
            lanes: list[Lane] = []
            fds: list[LaneFds] = []
            for _ in range(count):
                link = _pair(ours, theirs)
                memory = _memory(theirs)
                lane = Lane(link[0], os.dup(memory))
                ours.callback(lane.close)
                lanes.append(lane)
                fds.append(LaneFds(link[1].fileno(), memory))
            self.lanes = tuple(lanes)
            ends = Ends(self._control[1].fileno(), tuple(fds))
            inherited = [ends.control_fd, *(fd for each in fds for fd in (each.link, each.memory))]
            self.process = subprocess.Popen(  # -P: no module of the working directory
                (sys.executable, "-P", "-m", "pasarela_server.backends.isolation"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=inherited,
                env=os.environ | {VARIABLE: settings(ends).to_text()},
            )
            self._ours = ours.pop_all()

    def begin(self, warm: Sequence[str], log: str) -> None:
        """Has the process open the artefact; until then it only prepares itself. One that has gone says nothing then.

        Args:
            warm: Inputs that its sessions run before they are offered; see `messages.Begin`.
            log: What it logs from now on; see `ProcessSettings.log`.
        """
        self.began_s = time.monotonic()
        with contextlib.suppress(OSError):
            send(self._control[0], Begin(json.dumps(list(warm)), log))

    def change_log(self, log: str) -> None:
        """Tells the process what to log. Does not block: one that does not listen, or has gone, misses it.

        Args:
            log: See `begin`.
        """
        with contextlib.suppress(OSError):
            send_at_once(self._control[0], LogChanged(log))

    def receive(self, timeout_s: float | None) -> Message | None:
        """What the process says of itself, once: that it is loaded, or cannot be; None if it has gone.

        Args:
            timeout_s: How long it may take to say so; None for ever.

        Raises:
            TimeoutError: It took longer.
            BrokenLink: It said what is no message.
        """
        control = self._control[0]
        control.settimeout(timeout_s)
        try:
            return receive(control)
        finally:
            control.settimeout(None)

    def wait(self) -> str:
        """Blocks until the process has ended; how, for people. Nobody who waits in a lane hears of it before `bury`."""
        code = self.process.wait()
        with self._lock:
            self.ending = self._verdict or describe_ending(code)
        return self.ending

    def bury(self) -> None:
        """Tells whoever waits in a lane that the process has ended."""
        self.ended.set()
        for lane in self.lanes:
            lane.sever()

    def kill(self, verdict: str) -> None:
        """Ends the process at once; from any thread.

        Args:
            verdict: Why, for people.
        """
        with self._lock:
            self._verdict = self._verdict or verdict
        self.doomed = True
        self.process.kill()

    def close(self) -> None:
        """Ends the process in good order if it lets itself be ended so, and blocks until it has."""
        try:
            send(self._control[0], Close())
        except OSError:
            self.process.kill()  # it does not listen any more
        try:
            self.process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            self.kill("it did not end when it was told to")
            self.process.wait()

    def free(self) -> None:
        """Gives back what was shared with the process, which has ended; nobody may use its lanes any more."""
        self._ours.close()

    @property
    def age_s(self) -> float:
        """How long ago it began to open the artefact."""
        return time.monotonic() - self.began_s


def _pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.callback(here.close)
    theirs.callback(there.close)
    return here, there


def _memory(theirs: ExitStack) -> int:
    """Memory that can grow and never shrinks: what is mapped stays there, whatever the other side does."""
    fd = os.memfd_create("pasarela-tensors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    theirs.callback(os.close, fd)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return fd
