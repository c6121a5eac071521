"""Class names: label files, and what artefacts say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from pasarela_server.errors import InvalidModel
from pasarela_server.repository.labels import metadata_labels, read_labels


def test_a_name_a_line(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("short sleeve top\nvest \n\nskirt\n\n")

    assert read_labels(tmp_path, "labels.txt", "m/config.pbtxt") == ("short sleeve top", "vest", "", "skirt")


@pytest.mark.parametrize(
    ("filename", "content", "expected"),
    [
        pytest.param("absent.txt", None, "'absent.txt' is no file in the model's folder", id="not there"),
        pytest.param("../labels.txt", None, "must be a file name in the model's folder, not a path", id="a path"),
        pytest.param("labels.txt", b"\n\n", "labels.txt is empty", id="no names"),
        pytest.param("labels.txt", b"\xff", "byte 0 is no UTF-8", id="no text"),
    ],
)
def test_what_is_no_label_file(tmp_path: Path, filename: str, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / filename).write_bytes(content)

    with pytest.raises(InvalidModel, match=expected):
        read_labels(tmp_path, filename, "m/config.pbtxt")


def test_a_link_out_of_the_models_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "labels.txt").symlink_to(tmp_path / "secret")

    with pytest.raises(InvalidModel, match="is no file in the model's folder"):
        read_labels(tmp_path / "m", "labels.txt", "m/config.pbtxt")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param("{'names': {0: 'a', 1: 'b'}}", ("a", "b"), id="as the server writes it"),
        pytest.param("{'names': {1: 'b', 0: 'a'}}", ("a", "b"), id="in another order"),
        pytest.param("{'names': ['a', 'b']}", ("a", "b"), id="a list"),
        pytest.param("{'names': {0: 'a', 2: 'c'}}", (), id="a class without a name"),
        pytest.param("{'names': 'ab'}", (), id="a text"),
        pytest.param("{'stride': 32}", (), id="no names"),
        pytest.param("['a']", (), id="no mapping"),
        pytest.param("names: [", (), id="no literal"),
        pytest.param("(" * 10_000, (), id="deeper than Python reads"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_names_in_a_models_metadata(metadata: str, expected: tuple[str, ...]) -> None:
    assert metadata_labels(metadata) == expected
