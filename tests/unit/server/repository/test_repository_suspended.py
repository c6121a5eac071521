"""A version that is loaded and cannot answer for a while: it says so, keeps its place, and comes back by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pasarela_server.backends.base import BackendOptions
from pasarela_server.errors import InvalidModel, ModelSuspended
from pasarela_server.repository.control import ControlMode
from pasarela_server.repository.isolation import Isolation, IsolationMode
from pasarela_server.repository.manager import ManagerOptions
from pasarela_server.repository.servable import State
from tests.unit.server.repository.conftest import FakeBackend, FakeLoader, Repository

OVER = 'backend: "detection"\nparameters { key: "model" value { string_value: "raw" } }\n'


@dataclass
class AwayBackend(FakeBackend):
    """Comes and goes as a test says."""

    away: str = ""
    changed: Callable[[], None] = lambda: None

    def follow(self, changed: Callable[[], None]) -> None:
        self.changed = changed

    def be(self, away: str) -> None:
        self.away = away
        self.changed()


class AwayLoader(FakeLoader):
    def load(self, artefact: Path, options: BackendOptions) -> FakeBackend:
        backend = AwayBackend(*self.networks[artefact.read_text()], options)
        self.backends.append(backend)
        return backend


@pytest.fixture
def away(repository: Repository) -> Repository:
    repository.loader = AwayLoader()
    return repository


def states(manager) -> dict[str, tuple[State, str]]:
    return {entry.name: (entry.state, entry.reason) for entry in manager.index()}


def test_it_says_so_everywhere_and_is_told(away):
    manager = away.add("raw", "detector").add("over", config=OVER).manager()
    (backend,) = away.loader.backends
    assert manager.ready()
    away.changes.clear()
    backend.be("its process ended (SIGFPE) and is started again")
    assert away.changes == ["raw"]
    assert states(manager)["raw"] == (State.UNAVAILABLE, backend.away)
    state, reason = states(manager)["over"]
    assert state is State.UNAVAILABLE
    assert "SIGFPE" in reason
    assert not manager.model_ready("raw")
    assert not manager.model_ready("over")
    assert not manager.ready()
    for name, version in (("raw", None), ("raw", 1)):
        with pytest.raises(ModelSuspended, match="SIGFPE"):
            manager.acquire(name, version)
    backend.be("")
    assert {state for state, _ in states(manager).values()} == {State.READY}
    assert manager.ready()
    manager.acquire("raw").release()


def test_another_version_that_is_ready_answers_meanwhile(away):
    config = "version_policy { all {} }"
    manager = away.add("raw", "plain", config=config).add("raw", "plain", version=2).manager()
    highest = next(
        backend for backend in away.loader.backends if manager.acquire("raw", 2).servable._backend is backend
    )
    with manager.acquire("raw") as handle:
        assert handle.servable.version == 2
    highest.be("away")
    with manager.acquire("raw") as handle:
        assert handle.servable.version == 1
    assert manager.ready_versions("raw") == (1,)


def test_a_look_at_the_repository_neither_loads_it_again_nor_lets_it_go(away):
    options = ManagerOptions(control=ControlMode.POLL, settle_s=0.0)
    manager = away.add("raw", "detector").add("over", config=OVER).manager(options=options)
    (backend,) = away.loader.backends
    backend.be("away")
    manager.poll()
    assert away.loader.backends == [backend]
    backend.be("")
    manager.poll()
    assert away.loader.backends == [backend]
    assert {state for state, _ in states(manager).values()} == {State.READY}


def test_it_can_be_unloaded(away):
    manager = away.add("raw", "plain").manager()
    (backend,) = away.loader.backends
    backend.be("away")
    manager.close(5)
    assert backend.closed.is_set()


@pytest.mark.parametrize(
    ("mode", "parameters", "isolated"),
    [
        pytest.param(IsolationMode.NONE, {}, False, id="the default"),
        pytest.param(IsolationMode.PROCESS, {}, True, id="the flag"),
        pytest.param(IsolationMode.NONE, {"isolation": "process"}, True, id="the model asks for it"),
        pytest.param(IsolationMode.PROCESS, {"isolation": "none"}, False, id="the model asks not to"),
    ],
)
def test_the_configuration_wins_over_the_flag(mode, parameters, isolated):
    assert Isolation(mode).applies(parameters, "m/config.pbtxt") is isolated


def test_a_wrong_word_in_the_configuration_is_told():
    with pytest.raises(
        InvalidModel, match=r"m/config\.pbtxt: parameter 'isolation' is 'yes'; expected none or process"
    ):
        Isolation().applies({"isolation": "yes"}, "m/config.pbtxt")
