"""What counts as a change of files, and what a manifest says of them."""

import hashlib
import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.repository.fingerprint import Digests, combine, mark_files, newest_s
from pasarela_server.repository.manifest import find_fault, read_checksums


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_text("one")
    (tmp_path / "deep" / "b").write_text("two")
    (tmp_path / ".hidden").write_text("")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "c").write_text("")
    return tmp_path


def digests(folder):
    return Digests().of(folder, mark_files(folder))


def test_files_are_named_from_the_folder_and_hidden_ones_left_out(folder):
    assert [mark.name for mark in mark_files(folder)] == ["a", "deep/b"]
    assert [mark.name for mark in mark_files(folder, ["a", "absent"])] == ["a"]
    assert mark_files(folder / "absent") == ()
    assert digests(folder) == {"a": sha256(b"one").hexdigest(), "deep/b": sha256(b"two").hexdigest()}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "a").write_text("ONE"), id="other content of the same length"),
        pytest.param(lambda folder: os.utime(folder / "a", (0, 0)), id="another date"),
        pytest.param(lambda folder: (folder / "deep" / "c").write_text(""), id="one more"),
        pytest.param(lambda folder: (folder / "deep" / "b").unlink(), id="one less"),
        pytest.param(lambda folder: (folder / "a").rename(folder / "z"), id="another name"),
    ],
)
def test_any_change_shows_in_the_marks(folder, change):
    before = mark_files(folder)
    change(folder)
    assert mark_files(folder) != before


def test_a_replacement_under_the_old_date_shows_too(folder):
    before, dates = mark_files(folder), (folder / "a").stat()
    (folder / "new").write_text("ONE")
    os.utime(folder / "new", ns=(dates.st_atime_ns, dates.st_mtime_ns))
    (folder / "new").replace(folder / "a")
    after = mark_files(folder)
    assert [mark.modified_ns for mark in after] == [mark.modified_ns for mark in before]
    assert after != before


def test_a_file_is_read_once_for_as_long_as_it_stays_the_same(folder, monkeypatch):
    known = Digests()
    first = known.of(folder, mark_files(folder))
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("it was read again"))
    assert known.of(folder, mark_files(folder)) == first


def test_files_that_nobody_asks_for_any_more_are_forgotten(folder, monkeypatch):
    known = Digests()
    marks = mark_files(folder)
    known.of(folder, marks)
    known.forget_others()
    known.of(folder, marks[:1])
    known.forget_others()
    read = []
    digest = hashlib.file_digest
    monkeypatch.setattr("hashlib.file_digest", lambda file, name: read.append(Path(file.name)) or digest(file, name))
    known.of(folder, marks)
    assert read == [folder / mark.name for mark in marks[1:]]


def test_the_newest_file_dates_the_whole(folder):
    assert newest_s(()) == 0
    assert newest_s(mark_files(folder)) == max(mark.changed_ns for mark in mark_files(folder)) / 1e9


WORDS = st.text("ab\n", max_size=3)
PARTS = st.lists(WORDS, max_size=3) | st.lists(st.dictionaries(WORDS, WORDS, max_size=3), max_size=3)


@given(PARTS, PARTS)
def test_digests_are_equal_if_and_only_if_the_parts_are(some, others):
    alike = {type(part) for part in (*some, *others)}
    if len(alike) < 2:
        assert (combine(*some) == combine(*others)) == (some == others)


class TestManifest:
    """A version's checksums."""

    def listed(self, folder, content):
        (folder / "manifest.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return read_checksums(folder)

    def test_none(self, folder):
        assert read_checksums(folder) is None
        assert self.listed(folder, {"model": "m"}) is None
        assert find_fault(None, {}) is None

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ('{"sha256": {"a"', "its manifest.json is no complete JSON"),  # reason: half-written
            ("", "its manifest.json is no complete JSON"),  # reason: not written yet
            ({"sha256": ["a"]}, "no table of checksums"),  # reason: a list
            ({"sha256": {"a": 1}}, "no table of checksums"),  # reason: a number
        ],
    )
    def test_one_that_cannot_be_read_is_a_fault(self, folder, content, expected):
        found = self.listed(folder, content)
        assert expected in find_fault(found, digests(folder))

    def test_one_that_holds(self, folder):
        found = self.listed(folder, {"sha256": {"a": sha256(b"one").hexdigest().upper()}})
        assert find_fault(found, digests(folder)) is None, "what is not listed may lie there too"

    @pytest.mark.parametrize(
        ("listed", "expected"),
        [
            ({"a": "0" * 64}, "a is not whole, or was changed"),  # reason: other content
            ({"c": "0" * 64}, "c is missing, which its manifest.json lists"),  # reason: not copied yet
            ({"../a": "0" * 64}, "../a is missing"),  # reason: files outside are not looked at
        ],
    )
    def test_one_that_does_not(self, folder, listed, expected):
        found = self.listed(folder, {"sha256": listed})
        assert expected in find_fault(found, digests(folder))
