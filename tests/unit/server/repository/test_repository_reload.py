"""A repository that changes while it is served: what is taken, what is not yet, and that nothing that works is lost."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pasarela_server.errors import InvalidModel, ModelNotFound, ModelUnavailable, NoVersionReady
from pasarela_server.repository.control import ControlMode
from pasarela_server.repository.fingerprint import Digests
from pasarela_server.repository.manager import ManagerOptions
from pasarela_server.repository.servable import State
from pasarela_server.repository.watch import SETTLING
from tests.unit.server.repository.polled import Polled, start

OVER = 'backend: "detection" parameters {{ key: "model" value {{ string_value: "{}" }} }}'


@pytest.fixture
def polled(repository: Any) -> Polled:
    """Version 1 of model 'm', READY."""
    return start(repository.add("m", "plain"))


def test_a_new_version_answers_when_it_has_settled_and_the_old_one_leaves(polled: Polled) -> None:
    polled.disk.add("m", "plain", version=2)

    assert polled.poll() == 2.0, "when it is worth looking again"
    assert polled.answers() == 1
    assert polled.index()[2] == ("UNAVAILABLE", SETTLING)
    with pytest.raises(ModelUnavailable, match="version 2, is not ready: its files have just changed"):
        polled.manager.acquire("m", 2)
    polled.now_s[0] += 1.9
    polled.poll()
    assert polled.answers() == 1, "not yet"
    polled.now_s[0] += 0.1
    assert polled.poll() is None

    assert polled.answers() == 2
    assert polled.index() == {1: ("UNAVAILABLE", "unloaded"), 2: ("READY", "")}
    assert polled.disk.loader.backends[0].closed.is_set()
    with pytest.raises(ModelUnavailable, match="version 1 is not ready: unloaded"):
        polled.manager.acquire("m", 1)


def test_a_start_waits_for_what_was_written_just_before(repository: Any) -> None:
    options = ManagerOptions(control=ControlMode.POLL, settle_s=0.1)

    manager = repository.add("m", "plain").manager(options=options)

    assert manager.model_ready("m")
    assert manager.ready()


def test_a_version_that_is_still_being_copied_is_left_alone(polled: Polled) -> None:
    polled.disk.add("m", "plain", version=2)
    file = polled.disk.root / "m" / "2" / "model.fake"
    for part in ("pl", "pla", "plai"):
        file.write_text(part)
        polled.poll()
        polled.now_s[0] += 1.5
    assert polled.answers() == 1
    assert polled.opened == 1, "nothing half-written was opened"


def test_requests_in_flight_finish_on_the_old_version(polled: Polled) -> None:
    with polled.manager.acquire("m") as handle:
        polled.disk.add("m", "plain", version=2)
        polled.settle()
        assert polled.answers() == 2
        assert handle.servable.version == 1
        assert not polled.disk.loader.backends[0].closed.is_set(), "it is still used"
        assert polled.index()[1][0] == "UNLOADING"
    assert polled.disk.loader.backends[0].closed.wait(30)


def test_a_broken_version_never_replaces_one_that_works(polled: Polled) -> None:
    polled.disk.loader.errors = {"half": InvalidModel("model.fake is cut in half")}
    polled.disk.add("m", "half", version=2)
    polled.settle()

    assert polled.answers() == 1
    assert polled.index() == {1: ("READY", ""), 2: ("UNAVAILABLE", "model.fake is cut in half")}
    assert polled.manager.ready()


def test_a_broken_version_is_tried_again_when_its_content_changes_and_only_then(polled: Polled) -> None:
    tried: list[str] = []
    polled.disk.loader.errors = {"half": InvalidModel("cut in half")}
    load = polled.disk.loader.load
    polled.disk.loader.load = lambda artefact, options: tried.append(artefact.read_text()) or load(artefact, options)
    polled.disk.add("m", "half", version=2)
    polled.settle()
    polled.settle()
    os.utime(polled.disk.root / "m" / "2" / "model.fake")
    polled.settle()
    assert tried == ["half"], "a newer date is no newer content"

    (polled.disk.root / "m" / "2" / "model.fake").write_text("plain")
    polled.settle()

    assert tried == ["half", "plain"]
    assert polled.answers() == 2


def test_content_that_is_replaced_under_the_same_version_and_date(polled: Polled) -> None:
    file = polled.disk.root / "m" / "1" / "model.fake"
    before = file.stat()
    polled.disk.loader.networks["PLAIN"] = polled.disk.loader.networks["plain"]
    file.write_text("PLAIN")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    polled.settle()

    assert polled.opened == 2
    assert polled.answers() == 1
    assert polled.disk.loader.backends[0].closed.is_set()


def test_touching_a_file_loads_nothing(polled: Polled) -> None:
    os.utime(polled.disk.root / "m" / "1" / "model.fake")
    polled.settle()

    assert polled.opened == 1


def test_a_version_whose_replaced_content_is_broken_goes_on_with_the_old(polled: Polled) -> None:
    polled.disk.loader.errors = {"half": InvalidModel("model.fake is cut in half")}
    (polled.disk.root / "m" / "1" / "model.fake").write_text("half")
    polled.settle()

    assert polled.answers() == 1
    state, reason = polled.index()[1]
    assert state == "READY"
    assert reason == ("what should replace it cannot be loaded: model.fake is cut in half")
    (polled.disk.root / "m" / "1" / "model.fake").write_text("plain")
    polled.settle()
    assert polled.index()[1] == ("READY", ""), "what was loaded lies there again"
    assert polled.opened == 1


def test_taking_a_version_back(polled: Polled) -> None:
    polled.disk.add("m", "plain", version=2)
    polled.settle()
    assert polled.answers() == 2

    (polled.disk.root / "m" / "2").rename(polled.disk.root / "m" / "withdrawn-2")
    polled.poll()
    assert polled.answers() == 2, "it may come back"
    polled.settle()

    assert polled.answers() == 1


def test_a_folder_that_is_copied_over_another_does_not_vanish_in_between(polled: Polled) -> None:
    polled.disk.loader.networks["PLAIN"] = polled.disk.loader.networks["plain"]
    shutil.rmtree(polled.disk.root / "m" / "1")
    polled.poll()
    assert polled.answers() == 1
    polled.disk.add("m", "PLAIN", version=1)
    polled.poll()
    assert polled.answers() == 1
    polled.settle()

    assert polled.opened == 2
    assert polled.answers() == 1


def test_a_deleted_version_stays_while_nothing_works_in_its_place(polled: Polled) -> None:
    polled.disk.loader.errors = {"half": InvalidModel("cut in half")}
    polled.disk.add("m", "half", version=2)
    shutil.rmtree(polled.disk.root / "m" / "1")
    polled.settle()

    assert polled.answers() == 1
    (polled.disk.root / "m" / "2" / "model.fake").write_text("plain")
    polled.settle()
    assert polled.answers() == 2
    assert polled.index() == {2: ("READY", "")}


def test_a_deleted_version_stays_while_its_successor_is_still_being_copied(polled: Polled) -> None:
    shutil.rmtree(polled.disk.root / "m" / "1")
    polled.disk.add("m", "pla", version=2)
    file = polled.disk.root / "m" / "2" / "model.fake"
    for part in ("plai", "plain"):
        polled.poll()
        polled.now_s[0] += 1.9
        file.write_text(part)
    polled.poll()
    assert polled.answers() == 1, "1 has been gone for long, but 2 is not whole yet"
    polled.settle()

    assert polled.answers() == 2


def test_when_every_version_is_taken_away_the_model_leaves(polled: Polled) -> None:
    shutil.rmtree(polled.disk.root / "m" / "1")
    polled.settle()

    with pytest.raises(NoVersionReady):
        polled.manager.acquire("m")
    assert polled.disk.loader.backends[0].closed.is_set()


def test_a_model_that_is_deleted_leaves(polled: Polled) -> None:
    polled.disk.add("other", "plain")
    polled.settle()
    shutil.rmtree(polled.disk.root / "m")
    polled.poll()
    assert polled.answers() == 1
    polled.settle()

    with pytest.raises(ModelNotFound, match="no model 'm'; there are other"):
        polled.manager.acquire("m")
    assert polled.index() == {}
    assert polled.disk.loader.backends[0].closed.is_set()
    assert polled.manager.ready()


@pytest.mark.parametrize(
    "disaster",
    [
        pytest.param(shutil.rmtree, id="the repository is gone"),
        pytest.param(lambda root: (shutil.rmtree(root), root.mkdir()), id="it is empty, as when a disk is not mounted"),
    ],
)
def test_a_repository_that_cannot_be_read_changes_nothing(polled: Polled, disaster: Any) -> None:
    disaster(polled.disk.root)
    polled.settle()

    assert polled.answers() == 1
    assert polled.manager.ready()


def test_a_new_model_arrives(polled: Polled) -> None:
    polled.disk.add("n", "detector").add("over", config=OVER.format("n"))
    polled.settle()

    assert polled.answers("n") == 1
    assert polled.answers("over") == 1


def test_a_new_model_that_is_broken_takes_no_server_out_of_service(polled: Polled) -> None:
    polled.disk.add("n", config="nmae: 1")
    polled.settle()

    assert polled.manager.ready()
    assert polled.index("n")[None][0] == "UNAVAILABLE"


def test_a_detection_model_that_waits_for_its_raw_model(polled: Polled) -> None:
    polled.disk.add("over", config=OVER.format("late"))
    polled.settle()
    with pytest.raises(NoVersionReady, match="there is no model 'late'"):
        polled.manager.acquire("over")

    polled.disk.add("late", "detector")
    polled.settle()

    assert polled.answers("over") == 1


def test_a_detection_model_is_renewed_when_its_raw_model_changes(
    repository: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pasarela_server.repository")
    polled = start(repository.add("raw", "detector").add("over", config=OVER.format("raw")))
    polled.settle()
    polled.settle()
    assert sum("model over version 1: READY" in line for line in caplog.messages) == 1

    repository.add("raw", "detector", version=2)
    polled.settle()

    assert sum("model over version 1: READY" in line for line in caplog.messages) == 2
    assert "detects with raw version 2" in caplog.text


def test_a_changed_configuration_loads_anew_and_a_wrong_one_changes_nothing(polled: Polled) -> None:
    polled.disk.add("m", config="max_batch_size: 8")
    polled.settle()
    assert polled.manager.config("m").max_batch_size == 8

    polled.disk.add("m", config="max_batch_size: eight")
    polled.settle()

    assert polled.manager.config("m").max_batch_size == 8
    assert "what lies on disk now is not served: m/config.pbtxt, line 1" in polled.index()[1][1]
    polled.disk.add("m", config="max_batch_size: 2")
    polled.settle()
    assert polled.manager.config("m").max_batch_size == 2
    assert polled.index()[1] == ("READY", "")


def test_a_detection_model_answers_while_its_configuration_changes(repository: Any) -> None:
    polled = start(repository.add("raw", "detector").add("over", config=OVER.format("raw")))
    polled.disk.add("over", config=OVER.format("raw") + 'parameters { key: "iou" value { string_value: "0.5" } }')
    polled.poll()

    assert polled.answers("over") == 1
    assert "iou" not in polled.manager.config("over").parameters, "it has not settled"
    polled.settle()
    assert polled.manager.config("over").parameters["iou"] == "0.5"


@pytest.mark.parametrize("model", ["raw", "over"])
def test_files_that_cannot_be_read_stop_no_other_model(
    repository: Any, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled = start(repository.add("raw", "detector").add("over", config=OVER.format("raw")).add("m", "plain"))
    (repository.root / model / "labels.txt").write_text("secret")
    digests = Digests.of

    def refuse(self: Digests, folder: Path, marks: Any) -> Any:
        if any(mark.name == "labels.txt" for mark in marks):
            raise PermissionError(13, "Permission denied")
        return digests(self, folder, marks)

    monkeypatch.setattr(Digests, "of", refuse)
    repository.add("m", "plain", version=2)
    polled.settle()

    assert polled.answers() == 2
    assert polled.answers(model) == 1
    manager = repository.manager()
    assert not manager.model_ready(model)
    assert any(entry.name == "m" and entry.state is State.READY for entry in manager.index())


def test_notes_for_people_load_nothing(polled: Polled) -> None:
    (polled.disk.root / "m" / "MODEL_CARD.md").write_text("about it")
    polled.settle()

    assert polled.opened == 1


def manifest(folder: Path, text: str) -> None:
    listed = {"model.fake": sha256(text.encode()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"sha256": listed}))


def test_a_version_counts_only_when_its_manifest_holds(polled: Polled) -> None:
    polled.disk.add("m", "pla", version=2)
    manifest(polled.disk.root / "m" / "2", "plain")
    polled.settle()

    assert polled.answers() == 1
    assert polled.index()[2] == (
        "UNAVAILABLE",
        "model.fake is not whole, or was changed: its manifest.json lists another checksum",
    )
    (polled.disk.root / "m" / "2" / "model.fake").write_text("plain")
    polled.settle()
    assert polled.answers() == 2


def test_at_the_start_an_older_good_version_stands_in(repository: Any) -> None:
    repository.loader.errors = {"half": InvalidModel("model.fake is cut in half")}
    repository.add("m", "plain", version=1).add("m", "half", version=2).add("m", "plain", version=3)
    manifest(repository.root / "m" / "3", "something else")
    manager = repository.manager()

    with manager.acquire("m") as handle:
        assert handle.servable.version == 1
    reasons = {entry.version: (entry.state, entry.reason) for entry in manager.index()}
    assert reasons[1] == (State.READY, "")
    assert reasons[2] == (State.UNAVAILABLE, "model.fake is cut in half")
    assert "manifest.json lists another checksum" in reasons[3][1]
    assert manager.ready()


def test_files_that_change_while_they_are_loaded_are_not_served(polled: Polled) -> None:
    load = polled.disk.loader.load

    def disturbed(artefact: Path, options: Any) -> Any:
        backend = load(artefact, options)
        (artefact.parent / "labels.bin").write_text("came late")
        return backend

    polled.disk.loader.load = disturbed
    polled.disk.add("m", "plain", version=2)
    polled.settle()

    assert polled.answers() == 1
    assert "its files changed while they were loaded" in polled.index()[2][1]
    assert polled.disk.loader.backends[-1].closed.is_set()
    polled.disk.loader.load = load
    polled.settle()
    assert polled.answers() == 2
