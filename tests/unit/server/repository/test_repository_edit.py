"""What a person does to the versions of a model on disk."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pasarela_server.__main__ import main
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.edit import (
    VersionLine,
    describe_versions,
    roll_back_label,
    set_labels,
    withdraw_highest,
)
from pasarela_server.repository.version_labels import MOST_REMEMBERED, move, present, read_history, step_back


@pytest.fixture
def root(repository: Any) -> Path:
    """Versions 1 to 3 of model 'm'."""
    for version in (1, 2, 3):
        repository.add("m", "plain", version=version)
    folder: Path = repository.root
    return folder


def labels(root: Path) -> dict[str, int]:
    return present(read_history(root / "m"))


def test_versions_with_what_is_known_of_them(root: Path) -> None:
    set_labels(root, "m", {"stable": 1})
    checksum = sha256(b"something else").hexdigest()
    (root / "m" / "3" / "manifest.json").write_text(json.dumps({"sha256": {"model.fake": checksum}}))

    assert describe_versions(root, "m") == (
        VersionLine(1, ("stable",), True, None),
        VersionLine(2, (), True, None),
        VersionLine(3, (), False, "model.fake is not whole, or was changed: its manifest.json lists another checksum"),
    )


def test_labels_are_given_moved_and_taken_away(root: Path) -> None:
    assert set_labels(root, "m", {"stable": 1, "canary": 3}) == {"stable": 1, "canary": 3}
    assert set_labels(root, "m", {"stable": 2, "canary": None}) == {"stable": 2}
    assert labels(root) == {"stable": 2}
    assert [file.name for file in (root / "m").iterdir() if file.is_file()] == ["version_labels.json"]


def test_a_label_goes_back_step_by_step(root: Path) -> None:
    for version in (1, 2, 3):
        set_labels(root, "m", {"stable": version})

    assert roll_back_label(root, "m", "stable") == (3, 2)
    assert roll_back_label(root, "m", "stable") == (2, 1)
    with pytest.raises(InvalidModel, match="'m': label 'stable' names version 1 and never named another"):
        roll_back_label(root, "m", "stable")
    assert labels(root) == {"stable": 1}


def test_withdrawing_the_highest_version_loses_nothing(root: Path) -> None:
    set_labels(root, "m", {"stable": 1, "canary": 3})
    set_labels(root, "m", {"stable": 3})

    gone, left, folder = withdraw_highest(root, "m")

    assert (gone, left, folder) == (3, 2, root / "m" / "3.withdrawn")
    assert (folder / "model.fake").read_text() == "plain"
    assert labels(root) == {"stable": 1, "canary": 2}, (
        "back where it was; where it was nowhere before, the next highest"
    )
    assert withdraw_highest(root, "m")[:2] == (2, 1)
    with pytest.raises(InvalidModel, match="'m' has version 1 only: there is none to go back to"):
        withdraw_highest(root, "m")


def test_what_was_withdrawn_before_is_not_overwritten(root: Path) -> None:
    (root / "m" / "3.withdrawn").mkdir()
    set_labels(root, "m", {"stable": 3})

    with pytest.raises(InvalidModel, match=r"3\.withdrawn is there already"):
        withdraw_highest(root, "m")

    assert (root / "m" / "3").is_dir()
    assert labels(root) == {"stable": 3}


def test_what_is_not_there(root: Path) -> None:
    with pytest.raises(InvalidModel, match=r"no model 'n' in .*; there are m"):
        describe_versions(root, "n")
    with pytest.raises(InvalidModel, match="'m' has no version 9 on disk; it has 1, 2, 3"):
        set_labels(root, "m", {"stable": 9})
    with pytest.raises(InvalidModel, match="there is no label 'stable'; there are none"):
        roll_back_label(root, "m", "stable")
    assert not (root / "m" / "version_labels.json").exists()


def test_a_label_remembers_only_so_much() -> None:
    history: Any = {}
    for version in range(1, 100):
        history = move(history, "stable", version)

    assert len(history["stable"]) == MOST_REMEMBERED
    assert move(history, "stable", 99) == history, "naming the same version again is no step"
    assert present(step_back(history, "stable")) == {"stable": 98}


class TestCommands:
    """The command line."""

    def test_a_life(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        where = ["--model-repository", str(root)]
        assert main(["label", "m", "stable=1", "canary=3", *where]) == 0
        assert main(["versions", "m", *where]) == 0
        assert main(["rollback", "m", *where]) == 0
        said = capsys.readouterr().out

        assert "m: canary is version 3, stable is version 1\n" in said
        assert "3        canary  yes" in said
        assert "m: version 3 is withdrawn, version 2 is the highest now\n" in said
        assert f"mv {root}/m/3.withdrawn {root}/m/3\n" in said
        assert main(["label", "m", "stable=2", *where]) == 0
        assert main(["rollback", "m", "stable", *where]) == 0
        assert "stable was version 2, and is version 1 now" in capsys.readouterr().out

    def test_the_repository_may_come_from_the_environment(
        self, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PASARELA_MODEL_REPOSITORY", str(root))

        assert main(["versions", "m"]) == 0
        assert capsys.readouterr().out.count("\n") == 4

    @pytest.mark.parametrize(
        ("arguments", "code", "expected"),
        [
            (["versions", "n"], 1, "no model 'n'"),  # reason: no such model
            (["rollback", "m", "stable"], 1, "no label 'stable'"),  # reason: no such label
            (["label", "m", "stable"], 2, "expected LABEL=VERSION, like stable=3, got 'stable'"),  # reason: no version
            (["label", "m", "Stable=1"], 2, "expected LABEL=VERSION"),  # reason: labels are lower case
            (["label", "m", "stable=0"], 2, "expected LABEL=VERSION"),  # reason: versions begin with 1
            (["label", "m", "1=2"], 2, "expected LABEL=VERSION"),  # reason: a number is no label
            (["label", "m"], 2, "required: LABEL=VERSION"),  # reason: nothing said
        ],
    )
    def test_what_cannot_be_done_is_said_in_a_line(
        self, root: Path, arguments: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        try:
            ended = main([*arguments, "--model-repository", str(root)])
        except SystemExit as error:
            ended = int(str(error.code))

        said = capsys.readouterr().err
        assert ended == code
        assert expected in said
        assert said.startswith(f"pasarela-server {arguments[0]}: error: ")
        assert said.count("\n") == 1
