"""Where the fronts' socket goes."""

import socket
import tempfile

import pytest

from pasarela_server.frontends import front, supervise


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


@pytest.mark.parametrize("lives", [True, False])
def test_a_front_removes_the_folder_of_a_back_that_has_gone_and_of_no_other(tmp_path, lives):
    """A link may break while the back lives, and the other fronts need its socket."""
    folder = tmp_path / "pasarela-x"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind(str(folder / "back.sock"))
        if lives:
            listens.listen()
        front._clear_away(folder / "back.sock")
    assert folder.exists() is lives


def test_a_front_that_finds_no_folder_any_more_is_content(tmp_path):
    front._clear_away(tmp_path / "pasarela-x" / "back.sock")
