"""The processes of Locust that a run needs: one, or a master and those who send."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.access import Access
from loadtest.images import ROOT
from loadtest.server_process import free_port

_LOCUSTFILE: Final = ROOT / "loadtest" / "locustfile.py"
_WORKERS_CONNECT_S: Final = 60
_END_S: Final = 20.0
"""How long Locust may take to end, when it was asked to."""
_LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class LocustRun:
    """What Locust is to run."""

    scenario: str
    """A path, or the name of a shipped one."""
    overrides: Sequence[str]
    access: Access
    folder: Path
    """Where records, Locust's own figures and logs go."""
    reports: Path
    workers: int = 0
    """Processes that send; 0: the one that conducts sends itself."""
    web_port: int | None = None
    """Port of Locust's page; None runs at once, and ends."""
    quiet: bool = False
    """Whether what Locust prints goes to `locust-output.log` in the folder, as nobody waits for it."""


def run_locust(run: LocustRun) -> int:
    """Runs Locust until it ends; Ctrl-C asks it to end early, a second Ctrl-C makes it.

    Returns:
        The exit code of Locust.

    Raises:
        KeyboardInterrupt: A second Ctrl-C; the first, where the run is a quiet one: nobody waits for what it has
            measured so far.
    """
    with contextlib.ExitStack() as stack:
        port = free_port() if run.workers else None
        output = run.folder / "locust-output.log" if run.quiet else None
        master = stack.enter_context(_process(_master(run, port), output))
        for number in range(run.workers):
            stack.enter_context(_process(_worker(port), run.folder / f"worker-{number}.log"))
        return master.wait() if run.quiet else _wait(master)


def _wait(master: subprocess.Popen[bytes]) -> int:
    asked = False
    while True:
        try:
            return master.wait()
        except KeyboardInterrupt:
            if asked:
                master.kill()
                raise
            print("\n  ending the run; Ctrl-C again to end it now", flush=True)
            master.send_signal(signal.SIGINT)
            asked = True


@contextlib.contextmanager
def _process(command: Sequence[str], log: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    """A process until the block is left. A session of its own: Ctrl-C reaches the load test alone."""
    with contextlib.ExitStack() as stack:
        output = None if log is None else stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=None if log is None else subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + _END_S
    if process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)  # those who send end by themselves when their master does
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(max(_LOOK_S, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _master(run: LocustRun, port: int | None) -> list[str]:
    command = [*_locust(), "--host", run.access.url, "--scenario", run.scenario]
    for override in run.overrides:
        command += [f"--set={override}"]
    command += [f"--server-ca={run.access.ca}", f"--token-file={run.access.token_file}"]
    command += ["--logfile", str(run.folder / "locust.log")]
    if run.web_port is None:
        command += ["--headless", "--only-summary", "--run-folder", str(run.folder)]
        command += ["--csv", str(run.folder / "locust"), "--json-file", str(run.folder / "locust")]
    else:
        command += ["--web-host", "127.0.0.1", "--web-port", str(run.web_port), "--reports", str(run.reports)]
    if port is not None:
        command += ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port)]
        command += ["--expect-workers", str(run.workers), "--expect-workers-max-wait", str(_WORKERS_CONNECT_S)]
    return command


def _worker(port: int | None) -> list[str]:
    return [*_locust(), "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)]


def _locust() -> list[str]:
    return [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--loglevel", "WARNING"]
