"""A server process of its own, on a port that it keeps through restarts, and what the system says of it."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loadtest.server_process import free_port, last_line, wait_until_ready

READY_S = 120.0
ENDS_S = 60.0
LOOK_S = 0.05


class ChaosError(Exception):
    """What a row needs did not come about; the message says what."""


class Served:
    """Starts with the block, and is killed at its end if it still runs."""

    def __init__(
        self,
        repository: Path,
        folder: Path,
        *flags: str,
        program: Sequence[str] = ("-m", "pasarela_server"),
        environment: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
        secure: bool = False,
    ) -> None:
        """Builds it.

        Args:
            repository: What it serves.
            folder: For its log.
            flags: More of its flags.
            program: What Python runs.
            environment: Of the process; that of this one unless given.
            under: A command that runs it, as `prlimit` does.
            secure: With TLS its health is not asked; the log says when it is ready.
        """
        self.url = f"127.0.0.1:{free_port()}"
        self.log = folder / "server.log"
        self.log.touch()
        self._command = [*under, sys.executable, *program, "--model-repository", str(repository)]
        self._command += ["--grpc-address", "127.0.0.1", "--grpc-port", self.url.rpartition(":")[2]]
        self._command += [
            "--metrics-port",
            "0",
            *(() if "--model-cache" in flags else ("--model-cache", "none")),
            *flags,
        ]
        self._environment = environment
        self._secure = secure
        self.process = self._start()

    def __enter__(self) -> Self:
        self.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def wait_ready(self) -> None:
        """Waits until it serves.

        Raises:
            ChaosError: It ended, or was not ready in time.
        """
        if self._secure:
            ready = wait_for(lambda: "Try: " in self.said() or self.process.poll() is not None, READY_S)
            ready = ready and self.process.poll() is None
        else:
            ready = wait_until_ready(self.url, READY_S, self.process)
        if not ready:
            raise ChaosError(f"the server is not ready: {last_line(self.log)}")

    def again(self) -> None:
        """Starts it once more, on the same port, after it has ended."""
        self.process = self._start()

    def kill(self) -> None:
        """Ends it at once."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code, or -1 if it did not end in time."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            return -1

    def said(self) -> str:
        """All that it printed so far."""
        return self.log.read_text(errors="replace")

    def wait_said(self, text: str, count: int = 1, patience_s: float = ENDS_S) -> str:
        """Waits until its log says something.

        Returns:
            The last line that says it.

        Raises:
            ChaosError: It does not.
        """
        if not wait_for(lambda: self.said().count(text) >= count, patience_s):
            raise ChaosError(f"the log never said {text!r}: {last_line(self.log)}")
        return [line for line in self.said().splitlines() if text in line][-1]

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Its processes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def rss_mb(self) -> float:
        """Resident memory, all its processes together."""
        main = psutil.Process(self.process.pid)
        return sum(each.memory_info().rss for each in (main, *main.children(recursive=True))) / 2**20

    def descriptors(self) -> int:
        """Open descriptors."""
        return int(psutil.Process(self.process.pid).num_fds())

    def threads(self) -> int:
        """Threads."""
        return int(psutil.Process(self.process.pid).num_threads())

    def limit(self, which: int, value: int) -> tuple[int, int]:
        """Sets a soft limit of the running process; returns what held before."""
        before = resource.prlimit(self.process.pid, which)
        resource.prlimit(self.process.pid, which, (value, before[1]))
        return before

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=self._environment
            )  # fmt: skip


def wait_for(holds: Callable[[], bool], patience_s: float = ENDS_S) -> bool:
    """Looks again and again whether something holds; whether it did in time."""
    until_s = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until_s:
            return False
        time.sleep(LOOK_S)
    return True


class HealthWatch:
    """Follows a server's health, and remembers when it changed."""

    def __init__(self, url: str, service: str = "") -> None:
        self.states: list[tuple[float, int]] = []
        """When (monotonic) and what."""
        self._channel = grpc.insecure_channel(url)
        self._call = health_pb2_grpc.HealthStub(self._channel).Watch(health_pb2.HealthCheckRequest(service=service))
        self._thread = threading.Thread(target=self._follow, name="health")
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self._call.cancel()
        self._thread.join()
        self._channel.close()

    def first(self, status: int) -> float | None:
        """When it was first told this status."""
        return next((at_s for at_s, told in self.states if told == status), None)

    def _follow(self) -> None:
        try:
            for state in self._call:
                self.states.append((time.monotonic(), state.status))
        except grpc.RpcError:
            pass


@contextmanager
def health_of(url: str, service: str = "") -> Iterator[HealthWatch]:
    """Follows health during the block."""
    watch = HealthWatch(url, service)
    try:
        yield watch
    finally:
        watch.close()
