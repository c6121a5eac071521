"""What the scan takes for models and versions, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pasarela_server.errors import InvalidModel
from pasarela_server.repository.scan import scan


def make(root: Path, *paths: str) -> Path:
    """Creates folders (ending in /) and files."""
    for path in paths:
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path)
    return root


@pytest.mark.parametrize(
    ("paths", "versions"),
    [
        pytest.param(["m/1/", "m/2/", "m/10/"], [1, 2, 10], id="by number, not by letters"),
        pytest.param(["m/1/", "m/warmup/", "m/configs/", "m/latest/"], [1], id="names that are no numbers"),
        pytest.param(["m/1/", "m/0/", "m/007/", "m/-1/", "m/1.5/"], [1], id="numbers that are no versions"),
        pytest.param(["m/1/", "m/2"], [1], id="a file is no version"),
        pytest.param(["m/1/", "m/\u0663/"], [1], id="digits of other scripts"),
        pytest.param(["m/config.pbtxt"], [], id="none at all"),
    ],
)
def test_versions(tmp_path: Path, paths: list[str], versions: list[int]) -> None:
    (found,) = scan(make(tmp_path, *paths))

    assert list(found.versions) == versions
    assert all(folder == tmp_path / "m" / str(number) for number, folder in found.versions.items())


def test_hidden_folders_and_files_are_no_models(tmp_path: Path) -> None:
    make(tmp_path, "b/1/", "a/1/", ".git/1/", "README.md")

    assert [found.name for found in scan(tmp_path)] == ["a", "b"]


def test_the_configuration_comes_along_as_text(tmp_path: Path) -> None:
    make(tmp_path, "with/config.pbtxt", "without/1/")

    assert {found.name: found.config_text for found in scan(tmp_path)} == {
        "with": "with/config.pbtxt",
        "without": None,
    }


def test_a_repository_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="absent' does not exist; name a folder"):
        scan(tmp_path / "absent")


def test_a_repository_that_is_a_file(tmp_path: Path) -> None:
    make(tmp_path, "file")

    with pytest.raises(InvalidModel, match="file' is a file; name the folder"):
        scan(tmp_path / "file")


def test_an_empty_repository_must_be_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "README.md", ".hidden/")

    with pytest.raises(InvalidModel, match=r"holds no models; put one there .* --allow-empty-repository"):
        scan(tmp_path)
    assert scan(tmp_path, allow_empty=True) == ()


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("m", id="a model"),
        pytest.param("m/1", id="a version"),
        pytest.param("m/1/model.onnx", id="a model file"),
        pytest.param("m/1/deep/weights.bin", id="a file further down"),
        pytest.param("m/config.pbtxt", id="a configuration"),
        pytest.param("m/version_labels.json", id="labels of versions"),
        pytest.param("m/warmup", id="the folder of the warm-up"),
        pytest.param("m/warmup/sample", id="a file of the warm-up"),
    ],
)
def test_a_link_that_leads_out_of_the_repository_is_refused(tmp_path: Path, link: str) -> None:
    outside = make(tmp_path / "outside", "1/model.onnx")
    root = make(tmp_path / "models", "good/1/")
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(outside)

    found = {model.name: model for model in scan(root)}

    assert found["m"].problem == f"{link} is a link that leads out of the repository; copy what it points to"
    assert found["good"].problem is None


def test_a_link_inside_the_repository_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "m/1/model.onnx")
    (tmp_path / "m" / "2").symlink_to(tmp_path / "m" / "1")

    (found,) = scan(tmp_path)

    assert list(found.versions) == [1, 2]
    assert found.problem is None


def test_a_repository_may_be_a_link_itself(tmp_path: Path) -> None:
    make(tmp_path / "real", "m/1/model.onnx")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    (found,) = scan(tmp_path / "link")

    assert found.problem is None


def test_a_configuration_that_is_no_text_is_a_problem_of_its_model_alone(tmp_path: Path) -> None:
    make(tmp_path, "bad/1/", "good/1/")
    (tmp_path / "bad" / "config.pbtxt").write_bytes(b"name: \xff")

    bad, good = scan(tmp_path)

    assert bad.problem == "bad/config.pbtxt: byte 6 is no UTF-8; save the file as UTF-8 text"
    assert good.problem is None
