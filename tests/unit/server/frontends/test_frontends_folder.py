"""Where the fronts' socket goes."""

import tempfile

import pytest

from pasarela_server.frontends import supervise


def test_a_place_that_is_read_only_is_left_for_the_next(monkeypatch, tmp_path):
    made = tempfile.mkdtemp

    def refusing(**place):
        if place["dir"] is None:
            raise FileNotFoundError("No usable temporary directory found")
        return made(prefix=place["prefix"], dir=tmp_path)

    monkeypatch.setattr(tempfile, "mkdtemp", refusing)
    folder = supervise._private_folder()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0, "others stay out"


def test_nowhere_to_write_says_what_to_do(monkeypatch):
    def refusing(**place):
        raise PermissionError(f"no writing in {place['dir']}")

    monkeypatch.setattr(tempfile, "mkdtemp", refusing)
    with pytest.raises(
        supervise.FrontsUnavailable, match=r"--frontends needs a folder .*no writing in /dev/shm.*TMPDIR"
    ):
        supervise._private_folder()
