"""The cache of compiled models makes starts faster and never does harm."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.openvino_cache import ModelCache
from pasarela_server.backends.openvino_files import ArtefactFiles

MARKS = {"openvino": "1"}
LONG_AGO_S = 10 * 365 * 24 * 3600


def adding(folder: Path, summand: float) -> Path:
    """y = x + summand; two of them differ in their weights only."""
    x = ops.parameter(ov.PartialShape([-1, 4]), np.float32, name="x")
    x.output(0).set_names({"x"})
    y = ops.add(x, np.full((1, 4), summand, np.float32))
    y.output(0).set_names({"y"})
    folder.mkdir(exist_ok=True)
    ov.save_model(ov.Model([y], [x], "adding"), folder / "model.xml", compress_to_fp16=False)
    return folder / "model.xml"


def answer(artefact: Path, cache: Path | None, **parameters: str) -> float:
    options = BackendOptions(1, 1, {"precision": "f32", **parameters}, cache_folder=cache)
    return float(
        load_backend("openvino", artefact, options).session().infer({"x": np.zeros((1, 4), np.float32)})["y"][0, 0]
    )


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "openvino").iterdir())


class Made:
    """What OpenVINO would make: counts how often, and can be written."""

    def __init__(self, content: bytes = b"compiled") -> None:
        self.content, self.compiled, self.imported = content, 0, 0

    def getvalue(self) -> bytes:
        return self.content

    def export_model(self) -> "Made":
        return self

    def compile(self) -> "Made":
        self.compiled += 1
        return self

    def import_(self, content: bytes) -> "Made":
        assert content == self.content
        self.imported += 1
        return self


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    return file


def test_what_was_compiled_once_is_read_the_next_time(tmp_path: Path) -> None:
    artefact = adding(tmp_path / "1", 1)
    assert answer(artefact, tmp_path) == 1
    before = [(entry.name, entry.stat().st_ino) for entry in entries(tmp_path)]
    assert len(before) == 2, "what the model says, and the form that was compiled"
    assert answer(artefact, tmp_path) == 1
    assert [(entry.name, entry.stat().st_ino) for entry in entries(tmp_path)] == before


def test_the_second_time_nothing_is_compiled(tmp_path: Path, weights: Path) -> None:
    made = Made()
    for _ in range(3):
        ModelCache(tmp_path / "c", ArtefactFiles([weights]), MARKS).compile("v", made.compile, made.import_)
    assert (made.compiled, made.imported) == (1, 2)


def test_without_a_folder_nothing_is_kept(weights: Path) -> None:
    made = Made()
    for _ in range(2):
        ModelCache(None, ArtefactFiles([weights]), MARKS).compile("v", made.compile, made.import_)
    assert (made.compiled, made.imported) == (2, 0)
    assert list(weights.parent.iterdir()) == [weights]


def test_weights_that_were_overwritten_in_place_are_another_model(tmp_path: Path) -> None:
    artefact = adding(tmp_path / "1", 1)
    size, times = artefact.with_suffix(".bin").stat().st_size, artefact.with_suffix(".bin").stat()
    assert answer(artefact, tmp_path) == 1
    content = adding(tmp_path / "2", 2).with_suffix(".bin").read_bytes()
    assert len(content) == size
    artefact.with_suffix(".bin").write_bytes(content)
    os.utime(artefact.with_suffix(".bin"), ns=(times.st_atime_ns, times.st_mtime_ns))
    assert answer(artefact, tmp_path) == 2
    assert len(entries(tmp_path)) == 4


@pytest.mark.parametrize(
    ("marks", "what", "content"),
    [
        ({"openvino": "2"}, "v", b"weights"),  # reason: another version of OpenVINO
        ({"openvino": "1", "streams": 2}, "v", b"weights"),  # reason: other settings
        (MARKS, "w", b"weights"),  # reason: another variant of the model
        (MARKS, "v", b"WEIGHTS"),  # reason: another model
    ],
)
def test_what_it_depends_on_tells_entries_apart(
    tmp_path: Path, weights: Path, marks: dict[str, Any], what: str, content: bytes
) -> None:
    made = Made()
    ModelCache(tmp_path / "c", ArtefactFiles([weights]), MARKS).compile("v", made.compile, made.import_)
    weights.write_bytes(content)
    ModelCache(tmp_path / "c", ArtefactFiles([weights]), marks).compile(what, made.compile, made.import_)
    assert (made.compiled, made.imported) == (2, 0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",  # reason: nothing was written
        lambda content: content[: len(content) // 2],  # reason: half of it was
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),  # reason: one bit fell over
        lambda content: b"no entry at all, and long enough to be one" * 9,  # reason: somebody else's file
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_entry_is_made_anew(
    tmp_path: Path, which: int, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    artefact = adding(tmp_path / "1", 1)
    assert answer(artefact, tmp_path) == 1
    entry = entries(tmp_path)[which]
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING, "pasarela_server"):
        assert answer(artefact, tmp_path) == 1
    assert "damaged" in caplog.text
    assert len(entry.read_bytes()) == len(whole)
    caplog.clear()
    assert answer(artefact, tmp_path) == 1
    assert caplog.text == ""


def test_a_whole_entry_that_the_framework_refuses_is_compiled_anew(
    tmp_path: Path, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Made()
    cache = ModelCache(tmp_path / "c", ArtefactFiles([weights]), MARKS)
    cache.compile("v", made.compile, made.import_)

    def refuse(content: bytes) -> None:
        raise RuntimeError("made by another version")

    assert cache.compile("v", made.compile, refuse) is made
    assert made.compiled == 2
    assert "cannot be used" in caplog.text


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, exists: bool, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert answer(adding(tmp_path / "1", 1), blocked if exists else blocked / "below") == 1
    assert "the model cache" in caplog.text


def test_files_that_change_while_they_are_compiled_are_not_kept(tmp_path: Path, weights: Path) -> None:
    made = Made()

    def compile_slowly() -> Made:
        weights.write_bytes(b"others")
        return made.compile()

    ModelCache(tmp_path / "c", ArtefactFiles([weights]), MARKS).compile("v", compile_slowly, made.import_)
    assert not (tmp_path / "c").exists()


def test_entries_that_nobody_reads_go_when_another_comes(tmp_path: Path, weights: Path) -> None:
    made = Made()
    folder = tmp_path / "c"
    cache = ModelCache(folder, ArtefactFiles([weights]), MARKS)
    cache.compile("old", made.compile, made.import_)
    cache.compile("used", made.compile, made.import_)
    (folder / "left-over.blob.part").write_bytes(b"half")
    (folder / "somebody-elses.txt").write_bytes(b"mine")
    for file in folder.iterdir():
        os.utime(file, (LONG_AGO_S, LONG_AGO_S))
    cache.compile("used", made.compile, made.import_)
    cache.compile("new", made.compile, made.import_)
    assert len(list(folder.glob("*.blob"))) == 2
    assert not (folder / "left-over.blob.part").exists()
    assert (folder / "somebody-elses.txt").exists()
    cache.compile("used", made.compile, made.import_)
    assert made.compiled == 3


def test_processes_that_start_together_share_a_folder(tmp_path: Path) -> None:
    artefact = adding(tmp_path / "1", 3)
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from pasarela_server.backends import BackendOptions, load_backend\n"
        "options = BackendOptions(1, 1, cache_folder=Path(sys.argv[2]))\n"
        "session = load_backend('openvino', Path(sys.argv[1]), options).session()\n"
        "assert session.infer({'x': np.zeros((1, 4), np.float32)})['y'][0, 0] == 3\n"
    )
    command = [sys.executable, "-c", code, str(artefact), str(tmp_path)]
    together = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in together:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
    assert len(entries(tmp_path)) == 2
    assert answer(artefact, tmp_path) == 3
