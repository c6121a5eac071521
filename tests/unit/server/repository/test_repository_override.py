"""What clients send of a model is limited in files and bytes; what does not fit leaves nothing behind."""

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pasarela_server.errors import InvalidRequest, LoadFailed
from pasarela_server.repository.override import MOST_FILES, LoadOverride, OverrideStore


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what was sent is kept."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def model(size: int, files: int = 1) -> LoadOverride:
    return LoadOverride("", {f"1/{number}.onnx": bytes(size) for number in range(files)})


def test_only_so_many_files(sent: Path) -> None:
    store = OverrideStore()
    store.place("m", model(1, MOST_FILES))
    with pytest.raises(InvalidRequest, match=f"{MOST_FILES + 1} files are sent; expected at most {MOST_FILES}"):
        store.place("n", model(1, MOST_FILES + 1))
    assert len(list(sent.iterdir())) == 1


def test_only_so_many_bytes_in_all_models_together(sent: Path) -> None:
    store = OverrideStore(most_bytes=100)
    store.place("m", model(60))
    with pytest.raises(InvalidRequest, match="unload one"):
        store.place("n", model(50))
    store.place("m", model(90))  # in place of the 60
    store.drop("m")
    store.place("n", model(100))
    store.close()
    assert list(sent.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(sent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    store = OverrideStore()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(LoadFailed, match="model 'm' cannot be stored: No space left on device"):
        store.place("m", model(10))
    assert list(sent.iterdir()) == []


def test_models_that_come_at_the_same_time_leave_nothing_behind(sent: Path) -> None:
    store = OverrideStore()
    begin = threading.Barrier(8)

    def place(number: int) -> None:
        begin.wait()
        for _ in range(10):
            for name in ("m", f"m{number}"):
                store.place(name, model(10, 2))
                store.keep_last(name)

    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(place, number) for number in range(8)]:
            each.result()
    assert len(list(sent.iterdir())) == 9
    store.close()
    assert list(sent.iterdir()) == []


def test_what_answers_is_kept_until_something_else_does(sent: Path) -> None:
    store = OverrideStore()
    first = store.place("m", model(1)).folder
    store.keep_last("m")
    broken = store.place("m", model(2)).folder
    assert first.exists(), "its process may have to open it again"
    unread = store.place("m", model(3)).folder
    assert (first.exists(), broken.exists()) == (True, False)
    store.take_back("m")
    assert (first.exists(), unread.exists()) == (True, False)
    last = store.place("m", model(4)).folder
    store.keep_last("m")
    assert (first.exists(), last.exists()) == (False, True)
    store.drop("m")
    assert list(sent.iterdir()) == []
