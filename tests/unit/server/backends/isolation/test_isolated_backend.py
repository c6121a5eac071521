"""A backend in a process of its own: it computes as any other, dies alone, and comes back."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.backends.base import BackendOptions, PartsSession, RecoveringBackend, WideSession
from pasarela_server.backends.isolation.backend import IsolatedBackend, IsolatedLoader
from pasarela_server.backends.isolation.keeper import Opening, ProcessKeeper
from pasarela_server.backends.isolation.process_log import ProcessLog
from pasarela_server.backends.onnxruntime import OnnxRuntimeLoader
from pasarela_server.errors import BackendFailure, InvalidModel, OutOfMemory
from pasarela_server.observability.logging import LogFormat, LogSettings
from tests import hostile_backend, tiny_models
from tests.hostile_backend import HostileLoader

ROOT = Path(__file__).resolve().parents[5]
LIMIT_S = 1.0


def load(artefact: Path, loader=None, instances: int = 1, timeout_s: float | None = LIMIT_S) -> IsolatedBackend:
    options = BackendOptions(instances, 1, timeout_s=timeout_s)
    return IsolatedLoader(loader or HostileLoader(), "m").load(artefact, options)


def asks(what: float, more: float = 0.0) -> dict[str, np.ndarray]:
    return {"x": np.array([[what, more]], np.float32)}


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[int]:
    """Processes whose parent is this one."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, _, rest = status.read_text().partition(" (")
            if int(rest.rpartition(") ")[2].split()[1]) == os.getpid():
                found.add(int(number))
    return found


@pytest.fixture(autouse=True)
def _loader_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of models do not look into the working directory, where the hostile backend is."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)


@pytest.fixture
def others() -> set[int]:
    """Children that tests before this one have: a tracker of shared memory, for one."""
    return children()


def answering(backend: IsolatedBackend) -> int:
    """The process that computes, and not the one that stands by."""
    return backend._keeper.life().process.pid


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    (tmp_path / "model.hostile").write_text("anything")
    return tmp_path / "model.hostile"


@pytest.fixture
def hostile(artefact: Path):
    backend = load(artefact)
    yield backend
    backend.close()


def test_it_computes_as_in_the_servers_process(tmp_path):
    tiny_models.write_onnx(tmp_path, 3)
    here = OnnxRuntimeLoader().load(tmp_path / "model.onnx", BackendOptions(2, 1))
    backend = load(tmp_path / "model.onnx", OnnxRuntimeLoader(), instances=2)
    try:
        assert backend.spec == here.spec
        assert backend.description == f"{here.description}, in a process of its own"
        assert isinstance(backend, RecoveringBackend)
        sessions = [backend.session(), backend.session()]
        for rows in (1, 3, 40_000):  # the last takes more memory than there was
            x = np.random.default_rng(rows).random((rows, 2), np.float32)
            for session in sessions:
                assert isinstance(session, PartsSession)
                assert isinstance(session, WideSession)
                answer = session.infer({"x": x})["y"]
                np.testing.assert_array_equal(answer, x + 3)
                np.testing.assert_array_equal(session.infer_wide({"x": x})["y"], x + 3)
                parts = session.infer_parts([{"x": x}, {"x": x[:1]}])["y"]
                np.testing.assert_array_equal(parts, np.concatenate([x, x[:1]]) + 3)
                np.testing.assert_array_equal(answer, x + 3)  # the next call has not overwritten it
        with pytest.raises(BackendFailure, match="ONNX Runtime failed"):
            sessions[0].infer({"x": np.zeros((1, 3), np.float32)})
    finally:
        backend.close()
        here.close()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        pytest.param(hostile_backend.SIGFPE, "SIGFPE", id="it divides by zero"),
        pytest.param(hostile_backend.SIGSEGV, "SIGSEGV", id="it reads what is not its own"),
        pytest.param(hostile_backend.SIGKILL, "SIGKILL", id="the system has no memory left"),
    ],
)
def test_what_ends_the_process_fails_its_request_and_it_comes_back(hostile, what, says):
    told = []
    hostile.follow(lambda: told.append(hostile.away))
    session = hostile.session()
    assert session.infer(asks(0))["y"].tolist() == [[1, 1]]
    with pytest.raises(BackendFailure, match=rf"the process of model 'm' ended \({says}.*started again"):
        session.infer(asks(what))
    assert says in hostile.away or not hostile.away
    assert session.infer(asks(0))["y"].tolist() == [[1, 1]], "the same session uses the next process"
    assert hostile.away == ""
    assert says in told[0]
    assert told[-1] == ""


def test_what_hangs_is_ended_and_comes_back(hostile):
    session = hostile.session()
    with pytest.raises(BackendFailure, match="longer than 1 s, its limit"):
        session.infer(asks(hostile_backend.SLEEPS))
    assert session.infer(asks(0))["y"].tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("what", "kind", "says"),
    [
        pytest.param(hostile_backend.RAISES, BackendFailure, "a hostile framework failed", id="the framework raises"),
        pytest.param(hostile_backend.EXITS, BackendFailure, "failed while it computed", id="it wants to exit"),
        pytest.param(hostile_backend.NO_MEMORY, OutOfMemory, "memory ran out", id="Python has no memory"),
        pytest.param(hostile_backend.BAD_ALLOC, OutOfMemory, "bad_alloc", id="the framework has no memory"),
    ],
)
def test_what_is_raised_there_is_told_here_and_the_process_lives(hostile, what, kind, says):
    session = hostile.session()
    process = answering(hostile)
    with pytest.raises(kind, match=says) as failure:
        session.infer(asks(what))
    assert "/srv" not in str(failure.value)
    assert session.infer(asks(0))["y"].tolist() == [[1, 1]]
    assert answering(hostile) == process


def test_a_process_that_ends_while_nobody_asks_is_noticed(hostile):
    changed = threading.Event()
    hostile.follow(changed.set)
    session = hostile.session()
    os.kill(answering(hostile), signal.SIGKILL)
    assert changed.wait(30)
    assert session.infer(asks(0))["y"].tolist() == [[1, 1]]


@pytest.mark.parametrize("what", [hostile_backend.SIGFPE, hostile_backend.RAISES])
def test_a_model_that_does_not_bear_zeros_comes_back_all_the_same(artefact, what):
    """A new process runs the forms of inputs that were answered before, on zeros: those may be another matter."""
    artefact.write_text(f"zeros:{what}")
    backend = load(artefact)
    changed = threading.Event()
    backend.follow(changed.set)
    session = backend.session()
    assert session.infer(asks(1))["y"].tolist() == [[2, 1]]
    os.kill(answering(backend), signal.SIGKILL)
    assert changed.wait(30)
    assert session.infer(asks(1))["y"].tolist() == [[2, 1]]
    backend.close()


def test_an_artefact_that_ends_its_process_cannot_be_loaded(artefact, others):
    artefact.write_text("sigfpe")
    with pytest.raises(InvalidModel, match=r"ended while it was loaded \(SIGFPE"):
        load(artefact)
    assert children() <= others


def test_an_artefact_that_is_broken_says_so(tmp_path, others):
    (tmp_path / "model.onnx").write_text("no model")
    with pytest.raises(InvalidModel, match=r"model\.onnx cannot be loaded"):
        load(tmp_path / "model.onnx", OnnxRuntimeLoader())
    assert children() <= others


def test_nothing_is_left_behind(artefact, others):
    before, threads = descriptors(), threading.active_count()
    for _ in range(2):
        backend = load(artefact, instances=2)
        sessions = [backend.session(), backend.session()]
        with pytest.raises(BackendFailure):
            sessions[0].infer(asks(hostile_backend.SIGFPE))
        assert sessions[1].infer(asks(0))["y"].tolist() == [[1, 1]]
        backend.close()
    assert (descriptors(), threading.active_count()) == (before, threads)
    assert children() <= others


def test_a_process_that_does_not_get_ready_again_is_ended(artefact, others):
    loader = "tests.hostile_backend:HostileLoader"
    keeper = ProcessKeeper(Opening("m", loader, artefact, BackendOptions(1, 1), load_s=0.1))
    keeper.start()
    artefact.write_text("sleeps")
    keeper.life().kill("for a test")
    wait_until(lambda: "took longer than" in keeper.away)
    artefact.write_text("anything")
    wait_until(lambda: not keeper.away)
    keeper.close()
    assert children() <= others


def test_the_process_logs_as_the_server_does_now(artefact, capfd):
    def told() -> str:
        with pytest.raises(OutOfMemory):
            session.infer(asks(hostile_backend.NO_MEMORY))
        return capfd.readouterr().err

    log = ProcessLog()
    backend = IsolatedLoader(HostileLoader(), "m", log).load(artefact, BackendOptions(1, 1))
    session = backend.session()
    assert "ERROR   the process of model 'm' failed" in told()
    log.change(LogSettings(error=False).to_text())
    wait_until(lambda: not told())
    log.change(LogSettings(format=LogFormat.JSON).to_text())
    wait_until(lambda: '"level": "ERROR"' in told())
    with pytest.raises(BackendFailure):
        session.infer(asks(hostile_backend.SIGFPE))
    assert '"level": "ERROR"' in told(), "the one that comes after it"
    backend.close()
    assert not log._followers


def test_closing_does_not_wait_for_a_process_that_keeps_dying(artefact, others):
    backend = load(artefact)
    session = backend.session()
    artefact.write_text("sigfpe")
    with pytest.raises(BackendFailure):
        session.infer(asks(hostile_backend.SIGFPE))
    wait_until(lambda: "cannot be started again" in backend.away)
    assert "ended while it was loaded (SIGFPE" in backend.away
    backend.close()
    assert children() <= others
