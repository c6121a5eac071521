"""Names for versions, while a repository is served."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pasarela_server.errors import InvalidModel, InvalidRequest, ModelNotFound, ModelUnavailable
from tests.unit.server.repository.polled import Polled, start


@pytest.fixture
def polled(repository: Any) -> Polled:
    """Version 1 of model 'm', READY."""
    return start(repository.add("m", "plain"))


class TestLabels:
    """Names for versions."""

    @pytest.fixture
    def labelled(self, polled: Polled) -> Polled:
        polled.disk.add("m", "plain", version=2)
        self.say(polled, {"stable": 1, "canary": [1, 2]})
        polled.settle()
        return polled

    def say(self, polled: Polled, labels: object) -> None:
        (polled.disk.root / "m" / "version_labels.json").write_text(json.dumps(labels))

    def test_a_label_keeps_its_version_and_names_it(self, labelled: Polled) -> None:
        assert labelled.answers() == 2
        assert labelled.answers(version="stable") == 1
        assert labelled.answers(version="canary") == 2
        assert labelled.manager.model_ready("m", "stable")
        assert labelled.manager.labels("m") == {"stable": 1, "canary": 2}

    def test_moving_a_label_needs_no_loading(self, labelled: Polled) -> None:
        self.say(labelled, {"stable": [1, 2], "canary": 2})
        labelled.poll()

        assert labelled.answers(version="stable") == 2
        assert labelled.opened == 2

    def test_a_label_moves_only_when_its_version_can_answer(self, labelled: Polled) -> None:
        labelled.disk.loader.errors = {"half": InvalidModel("cut in half")}
        labelled.disk.add("m", "half", version=3)
        self.say(labelled, {"stable": [1, 3]})
        labelled.settle()
        assert labelled.answers(version="stable") == 1, "it stays with what works, which is kept"

        (labelled.disk.root / "m" / "3" / "model.fake").write_text("plain")
        labelled.settle()
        assert labelled.answers(version="stable") == 3
        assert labelled.index()[1] == ("UNAVAILABLE", "unloaded")

    def test_a_label_goes_back_to_a_version_that_was_unloaded(self, labelled: Polled) -> None:
        self.say(labelled, {"stable": 2})
        labelled.settle()
        seen: list[int] = []
        load = labelled.disk.loader.load

        def watched(artefact: Path, options: Any) -> Any:
            seen.append(labelled.answers(version="stable"))
            return load(artefact, options)

        labelled.disk.loader.load = watched
        self.say(labelled, {"stable": 1})
        labelled.poll()

        assert seen == [2], "while version 1 is loaded, version 2 goes on to answer for it"
        assert labelled.answers(version="stable") == 1

    def test_a_detection_model_over_a_label(self, repository: Any) -> None:
        over = 'backend: "detection" parameters { key: "model" value { string_value: "m" } }'
        pinned = over + 'parameters { key: "model_version" value { string_value: "stable" } }'
        repository.add("m", "detector").add("m", "detector", version=2).add("over", config=pinned)
        (repository.root / "m" / "version_labels.json").write_text('{"stable": 1}')
        polled = start(repository)
        assert polled.answers("over") == 1
        assert polled.opened == 2

        (repository.root / "m" / "version_labels.json").unlink()
        polled.settle()
        with polled.manager.acquire("over") as handle, pytest.raises(ModelUnavailable, match="'over' detects with 'm'"):
            asyncio.run(handle.servable.detect(b""))

    def test_an_unknown_label_is_a_wrong_version(self, labelled: Polled) -> None:
        with pytest.raises(
            InvalidRequest, match=r"its labels \(canary \(version 2\), stable \(version 1\)\); got 'prod'"
        ):
            labelled.manager.acquire("m", "prod")
        with pytest.raises(ModelNotFound):
            labelled.manager.acquire("n", "prod")

    def test_a_label_of_a_version_that_is_not_there(self, labelled: Polled) -> None:
        self.say(labelled, {"stable": 1, "next": 9})
        labelled.poll()
        with pytest.raises(ModelNotFound, match="has no version 9, which 'next' names"):
            labelled.manager.acquire("m", "next")

    @pytest.mark.parametrize("broken", ["{", [1], {"Stable!": 1}, {"stable": 0}, {"stable": "1"}, {"stable": []}])
    def test_a_file_of_labels_that_cannot_be_read_changes_nothing(self, labelled: Polled, broken: object) -> None:
        self.say(labelled, broken)
        if isinstance(broken, str):
            (labelled.disk.root / "m" / "version_labels.json").write_text(broken)
        labelled.poll()

        assert labelled.answers(version="stable") == 1
        assert "version_labels.json" in labelled.index()[2][1]
