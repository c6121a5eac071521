"""The published archive must open in PyTorch without what was taken out of it."""

import json
import zipfile
from pathlib import Path

import pytest

from pasarela_training.export.formats import anchors_of, clean_torchscript

METADATA = {"names": {"0": "vest"}, "args": {"data": "/home/someone/data.yaml"}, "date": "today"}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "exported.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/code/net.py", "def forward(x): return x", zipfile.ZIP_DEFLATED)
        archive.writestr("model/code/net.py.debug_pkl", "/home/someone/net.py", zipfile.ZIP_DEFLATED)
        archive.writestr("model/data/0", bytes(100))
        archive.writestr("model/data/11", b"weights")
        archive.writestr("model/extra/config.txt", json.dumps(METADATA))
        archive.writestr("model/.data/serialization_id", "123")
    return path


def test_paths_dates_and_random_ids_are_taken_out(exported: Path, tmp_path: Path) -> None:
    clean_torchscript(exported, tmp_path / "model.pt")
    with zipfile.ZipFile(tmp_path / "model.pt") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["model/code/net.py", "model/data/0", "model/data/11", "model/extra/config.txt"]
        assert b"/home" not in b"".join(archive.read(name) for name in archive.namelist())
        assert archive.read("model/data/11") == b"weights"


def test_the_same_export_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    clean_torchscript(exported, tmp_path / "one.pt")
    clean_torchscript(exported, tmp_path / "other.pt")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()


def test_stored_entries_begin_at_multiples_of_64_bytes(exported: Path, tmp_path: Path) -> None:
    clean_torchscript(exported, tmp_path / "model.pt")
    raw = (tmp_path / "model.pt").read_bytes()
    assert raw.index(b"weights") % 64 == 0


def test_anchors_are_counted_over_three_scales() -> None:
    assert anchors_of(320, 32) == 2100  # 40 × 40 + 20 × 20 + 10 × 10
