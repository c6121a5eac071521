"""Loading and unloading for clients."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from pasarela_server.errors import InvalidModel, InvalidRequest, LoadFailed, ModelUnavailable, NoVersionReady
from pasarela_server.repository.control import ControlMode
from pasarela_server.repository.manager import ManagerOptions, ModelManager
from pasarela_server.repository.override import LoadOverride
from pasarela_server.repository.readiness import IndexEntry
from pasarela_server.repository.servable import State

OVER = 'backend: "detection" parameters {{ key: "model" value {{ string_value: "{}" }} }}'


def explicit(repository: Any, *names: str) -> ModelManager:
    manager: ModelManager = repository.manager(options=ManagerOptions(control=ControlMode.EXPLICIT, load_models=names))
    return manager


def answers(manager: ModelManager, name: str) -> int:
    with manager.acquire(name) as handle:
        return handle.servable.version


def test_nothing_is_loaded_that_was_not_asked_for(repository: Any) -> None:
    manager = explicit(repository.add("a", "plain").add("b", "plain"))

    assert manager.index() == (IndexEntry("a", None, State.UNKNOWN), IndexEntry("b", None, State.UNKNOWN))
    assert manager.ready(), "nothing that should be there is missing"
    with pytest.raises(NoVersionReady, match="'a' has no version that is ready: it was not loaded"):
        manager.acquire("a")


def test_who_asks_for_a_model_while_it_is_loaded_is_told_to_come_again(repository: Any) -> None:
    """Loaded for the first time, again after it was unloaded, and again after it failed."""
    manager = explicit(repository.add("a", "plain"))
    told: list[str] = []

    def look() -> None:
        with pytest.raises(ModelUnavailable) as refused:
            manager.acquire("a")
        told.append(str(refused.value))

    repository.loader.on_load = look
    manager.control.load("a")
    manager.control.unload("a")
    with pytest.raises(NoVersionReady, match="unloaded"):
        manager.acquire("a")
    repository.loader.errors["plain"] = InvalidModel("cut in half")
    with pytest.raises(LoadFailed):
        manager.control.load("a")
    with pytest.raises(NoVersionReady, match="cut in half"):
        manager.acquire("a")
    del repository.loader.errors["plain"]
    manager.control.load("a")
    assert told == ["model 'a' is not ready: version 1: it is being loaded"] * 3
    assert answers(manager, "a") == 1


@pytest.mark.parametrize(("names", "loaded"), [(("b",), ["b"]), (("*",), ["a", "b"])])
def test_what_the_flags_name_is_loaded_at_the_start(repository: Any, names: tuple[str, ...], loaded: list[str]) -> None:
    manager = explicit(repository.add("a", "plain").add("b", "plain"), *names)

    assert [entry.name for entry in manager.index() if entry.state is State.READY] == loaded


def test_what_a_named_model_runs_is_loaded_with_it(repository: Any) -> None:
    manager = explicit(
        repository.add("raw", "detector").add("over", config=OVER.format("raw")).add("x", "plain"), "over"
    )

    assert {entry.name for entry in manager.index() if entry.state is State.READY} == {"over", "raw"}


def test_a_missing_model_that_the_flags_name_holds_readiness_back(repository: Any) -> None:
    manager = explicit(repository.add("a", "plain"), "a", "zebra")

    assert answers(manager, "a") == 1
    assert not manager.ready()
    assert "is not in the repository" in next(entry.reason for entry in manager.index() if entry.name == "zebra")


def test_a_life(repository: Any) -> None:
    manager = explicit(repository.add("m", "plain"))

    manager.control.load("m")
    assert answers(manager, "m") == 1
    manager.control.load("m")
    assert len(repository.loader.backends) == 1, "nothing has changed"
    repository.add("m", "plain", version=2)
    manager.control.load("m")
    assert answers(manager, "m") == 2
    manager.control.unload("m")
    with pytest.raises(NoVersionReady):
        manager.acquire("m")
    assert all(backend.closed.is_set() for backend in repository.loader.backends)
    assert {(entry.version, entry.state) for entry in manager.index() if entry.version} == {
        (1, State.UNAVAILABLE), (2, State.UNAVAILABLE),
    }  # fmt: skip
    manager.control.unload("m")
    manager.control.load("m")
    assert answers(manager, "m") == 2


def test_unloading_waits_for_no_request(repository: Any) -> None:
    manager = explicit(repository.add("m", "plain"), "m")

    with manager.acquire("m") as handle:
        manager.control.unload("m")
        assert handle.servable.version == 1
        assert not repository.loader.backends[0].closed.is_set()
        manager.control.load("m")
        assert answers(manager, "m") == 1, "a new life begins beside the old one"
    assert repository.loader.backends[0].closed.wait(30)
    assert not repository.loader.backends[1].closed.is_set()


def test_a_load_that_fails_says_why_and_can_be_tried_again(repository: Any) -> None:
    repository.loader.errors = {"half": InvalidModel("model.fake is cut in half")}
    manager = explicit(repository.add("m", "half"))

    with pytest.raises(LoadFailed, match=r"'m' cannot be loaded: version 1: model\.fake is cut in half"):
        manager.control.load("m")
    repository.loader.errors = {}
    repository.loader.networks["half"] = repository.loader.networks["plain"]
    manager.control.load("m")
    assert answers(manager, "m") == 1


def test_a_load_that_fails_leaves_what_answers(repository: Any) -> None:
    repository.loader.errors = {"half": InvalidModel("model.fake is cut in half")}
    manager = explicit(repository.add("m", "plain"), "m")
    repository.add("m", "half", version=2)

    with pytest.raises(LoadFailed, match=r"goes on to do so, for version 2: model\.fake is cut"):
        manager.control.load("m")

    assert answers(manager, "m") == 1


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("nmae: 1", "'m' cannot be loaded: m/config.pbtxt, line 1"),  # reason: a typo
        ("version_policy { specific { versions: 9 } }", "names 9, but there is only 1"),  # reason: no such version
    ],
)
def test_a_configuration_that_cannot_be_served(repository: Any, config: str, expected: str) -> None:
    manager = explicit(repository.add("m", "plain", config=config))

    with pytest.raises(LoadFailed, match=expected):
        manager.control.load("m")


def test_unknown_models(repository: Any) -> None:
    manager = explicit(repository.add("m", "plain"))

    with pytest.raises(InvalidRequest, match="no model 'n' in the repository; there are m"):
        manager.control.load("n")
    manager.control.unload("n")
    assert [entry.name for entry in manager.index()] == ["m"], "to unload what is not there is no error"


@pytest.mark.parametrize("mode", [ControlMode.NONE, ControlMode.POLL])
def test_other_modes_leave_it_to_nobody(repository: Any, mode: ControlMode) -> None:
    manager = repository.add("m", "plain").manager(options=ManagerOptions(control=mode, settle_s=0))

    for call in (manager.control.load, manager.control.unload):
        with pytest.raises(ModelUnavailable, match="--model-control-mode explicit"):
            call("m")
    assert answers(manager, "m") == 1


def test_a_detection_model_brings_its_raw_model_and_may_take_it_along(repository: Any) -> None:
    manager = explicit(repository.add("raw", "detector").add("over", config=OVER.format("raw")))

    manager.control.load("over")
    assert (answers(manager, "over"), answers(manager, "raw")) == (1, 1)
    manager.control.unload("over")
    assert answers(manager, "raw") == 1
    manager.control.load("over")
    manager.control.unload("over", with_dependents=True)
    with pytest.raises(NoVersionReady):
        manager.acquire("raw")


def test_what_runs_a_model_is_renewed_with_it(repository: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pasarela_server.repository")
    manager = explicit(repository.add("raw", "detector").add("over", config=OVER.format("raw")), "over")

    repository.add("raw", "detector", version=2)
    manager.control.load("raw")

    assert "detects with raw version 2" in caplog.text


class TestOverrides:
    """What a client sends along."""

    @pytest.fixture(autouse=True)
    def sent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The folder under which sent models are kept."""
        folder = tmp_path / "sent"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        return folder

    def test_a_configuration_holds_until_the_next_load(self, repository: Any) -> None:
        manager = explicit(repository.add("m", "plain"), "m")

        manager.control.load("m", LoadOverride("max_batch_size: 7"))
        assert manager.config("m").max_batch_size == 7
        manager.control.load("m")
        assert manager.config("m").max_batch_size == 4

    def test_files_stand_in_for_the_repository(self, repository: Any, sent: Path) -> None:
        manager = explicit(repository.add("m", "detector"), "m")

        manager.control.load("m", LoadOverride("", {"5/model.fake": b"plain"}))
        assert answers(manager, "m") == 5
        assert [spec.name for spec in manager.config("m").inputs] == ["x"]
        manager.control.load("n", LoadOverride("", {"1/model.fake": b"plain"}))
        assert answers(manager, "n") == 1
        manager.control.unload("n")
        assert len(list(sent.iterdir())) == 1
        manager.close()
        assert list(sent.iterdir()) == [], "what clients sent is removed"

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("m", "../1/model.fake"),  # reason: out of the folder
            ("m", "/etc/passwd"),  # reason: an absolute path
            ("m", "1/../../x"),  # reason: out of it by a detour
            ("m", ""),  # reason: no path
            ("m", "1/.hidden"),  # reason: nobody would see it
            ("m", "1/a/b/c/d"),  # reason: no framework needs that
            ("../m", "1/model.fake"),  # reason: a model's name is no path
            ("", "1/model.fake"),  # reason: no name
        ],
    )
    def test_paths_that_are_refused(self, repository: Any, sent: Path, name: str, path: str) -> None:
        manager = explicit(repository.add("m", "plain"), "m")

        with pytest.raises(InvalidRequest):
            manager.control.load(name, LoadOverride("", {path: b"plain"}))

        assert answers(manager, "m") == 1
        assert list(sent.iterdir()) == []

    def test_what_cannot_be_read_takes_no_room(self, repository: Any, sent: Path) -> None:
        manager = explicit(repository.add("m", "plain"), "m")

        with pytest.raises(LoadFailed, match="'n' cannot be loaded"):
            manager.control.load("n", LoadOverride("colour: 1", {"1/model.fake": b"plain"}))
        assert list(sent.iterdir()) == []

    def test_what_runs_a_model_that_is_not_there_is_removed_by_unloading_it(self, repository: Any, sent: Path) -> None:
        manager = explicit(repository.add("m", "plain"), "m")

        with pytest.raises(InvalidRequest, match="there is no model 'raw'"):
            manager.control.load("over", LoadOverride(OVER.format("raw"), {"1/labels.txt": b"shirt"}))
        manager.control.unload("over")
        assert list(sent.iterdir()) == []


def test_where_the_repository_lies_is_told_to_the_log_only(repository: Any, caplog: pytest.LogCaptureFixture) -> None:
    manager = explicit(repository.add("m", "plain"), "m")
    repository.root.rename(repository.root.with_name("elsewhere"))

    for call in (manager.control.load, lambda name: manager.control.unload(name, with_dependents=True)):
        with pytest.raises(LoadFailed) as refused:
            call("m")
        assert str(refused.value) == "the model repository cannot be read; the server's log says why"
    assert str(repository.root) in caplog.text
    assert answers(manager, "m") == 1
