"""Content that follows its files: what is taken when, and what is told."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from pasarela_server.security.files import UnusableFile, read_file
from pasarela_server.security.watched import Watched


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "word"
    path.write_text("one")
    return path


def watch(path: Path, level: int = logging.INFO) -> Watched[str]:
    def load() -> str:
        word = read_file("--word", path).decode()
        if word.startswith("bad"):
            raise UnusableFile("--word", path, f"{word} is bad")
        return word

    return Watched("the words", (path,), load, level=level)


def test_a_change_is_taken_once_it_has_settled(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watched = watch(path)
    watched.look()
    path.write_text("t")
    watched.look()
    assert watched.current == "one", "it may be half of something"
    path.write_text("two")
    watched.look()
    assert watched.current == "one", "it has changed since the look before"
    watched.look()
    assert watched.current == "two"
    watched.look()
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("INFO", "the words have changed and are in force for what comes from now on")
    ]


def test_what_is_bad_is_told_once_and_what_was_good_stays(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watched = watch(path)
    for word in ("bad one", "bad two", ""):
        path.write_text(word)
        for _ in range(3):
            watched.look()
        assert watched.current == "one"
    path.unlink()
    for _ in range(3):
        watched.look()
    assert [(r.levelname, r.getMessage().rpartition(": ")[2]) for r in caplog.records] == [
        ("ERROR", "bad one is bad"), ("ERROR", "bad two is bad"), ("ERROR", "it is empty"),
        ("ERROR", "No such file or directory"),
    ]  # fmt: skip
    path.write_text("one")
    for _ in range(2):
        watched.look()
    path.write_text("bad one")
    for _ in range(2):
        watched.look()
    assert caplog.records[-1].getMessage().endswith("bad one is bad"), "told again, after it was good"
    assert watched.current == "one"


def test_what_was_bad_is_tried_again_as_it_is(path: Path) -> None:
    """A certificate whose time has not begun becomes good without a change of its file."""
    bad = True

    def load() -> str:
        if bad and path.read_text() == "two":
            raise UnusableFile("--word", path, "not yet")
        return path.read_text()

    watched = Watched("the words", (path,), load)
    path.write_text("two")
    for _ in range(3):
        watched.look()
    assert watched.current == "one"
    bad = False
    watched.look()
    assert watched.current == "two"


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_seen(path: Path, tmp_path: Path) -> None:
    """As by a link that is turned to another folder."""
    watched = watch(path)
    other = tmp_path / "other"
    other.write_text("two")
    found = path.stat()
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)
    for _ in range(2):
        watched.look()
    assert watched.current == "two"


def test_rights_that_are_given_later_are_seen(path: Path) -> None:
    """A change of rights changes neither content nor time of writing."""
    watched = watch(path)
    calls = []
    watched._load = lambda: calls.append("read") or "one"
    path.chmod(0o640)
    for _ in range(3):
        watched.look()
    assert calls == ["read"]


def test_one_of_several_processes_tells(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watched = watch(path, logging.DEBUG)
    for word in ("bad", "two"):
        path.write_text(word)
        for _ in range(2):
            watched.look()
    assert watched.current == "two"
    assert caplog.records == []


def test_what_is_bad_at_the_start_is_an_error(path: Path) -> None:
    path.write_text("bad")
    with pytest.raises(UnusableFile, match="bad is bad"):
        watch(path)
