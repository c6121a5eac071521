"""Fixtures that several kinds of tests share: a repository of models, and servers that serve it.

`PASARELA_TEST_REPOSITORY` names another repository than the shipped one. It must hold models of the same names.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

# Servers that tests start leave nothing in the home of who runs them.
os.environ.setdefault("PASARELA_MODEL_CACHE", "none")

ROOT = Path(__file__).resolve().parents[1]
SHIPPED_REPOSITORY = ROOT / "model_repository"


@dataclass(frozen=True)
class RunningServer:
    """A server process that has loaded its models."""

    process: subprocess.Popen[str]
    address: str
    """host:port of gRPC."""
    metrics_address: str
    """host:port of the metrics."""
    report: str
    """What it printed when it had started."""
    log: Path
    """Its stderr."""

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait()


StartServer = Callable[..., AbstractContextManager[RunningServer]]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository that tests use."""
    return Path(os.environ.get("PASARELA_TEST_REPOSITORY", SHIPPED_REPOSITORY)).resolve()


@pytest.fixture(scope="session")
def sample_image() -> Path:
    """A picture of garments that the shipped models find."""
    return ROOT / "tests" / "data" / "sample.jpg"


@pytest.fixture(scope="session")
def sample_names(repository: Path) -> list[str] | None:
    """The garments on the sample, sorted; None if the models under test are not the shipped ones."""
    if repository != SHIPPED_REPOSITORY:
        return None
    return sorted(json.loads((ROOT / "tests" / "data" / "sample.json").read_text())["names"])


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """`with start_server(repository, *flags) as server:` runs a process of its own on free ports.

    `under` is a command that runs the server, as `setpriv` does.
    """

    @contextlib.contextmanager
    def start(repository: Path, *flags: str, under: Sequence[str] = ()) -> Iterator[RunningServer]:
        log = tmp_path_factory.mktemp("server") / "stderr.log"
        command = [
            *under, sys.executable, "-m", "pasarela_server", "--model-repository", str(repository),
            "--grpc-address", "127.0.0.1", "--grpc-port", "0", "--metrics-port", "0", *flags,
        ]  # fmt: skip
        with (
            log.open("w") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
        ):
            try:
                yield _started(process, log)
            finally:
                process.kill()

    return start


def _started(process: "subprocess.Popen[str]", log: Path) -> RunningServer:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Try: "):
            break
    else:
        raise AssertionError(f"the server ended with code {process.wait()}: {log.read_text()}")
    report = "".join(lines)
    grpc_address = re.search(r"gRPC on (\S+:\d+)", report)
    metrics_address = re.search(r"http://(\S+)/metrics", report)
    assert grpc_address, report
    return RunningServer(process, grpc_address[1], metrics_address[1] if metrics_address else "", report, log)


@pytest.fixture(scope="session")
def server(repository: Path, start_server: StartServer) -> Iterator[RunningServer]:
    """One server on the repository under test, shared by all tests that leave it as it is."""
    with start_server(repository) as running:
        yield running
