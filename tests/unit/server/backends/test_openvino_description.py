"""What a model says is kept beside what was compiled of it: the next start reads no model, and is told nothing stale."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import Backend, BackendOptions
from pasarela_server.backends.openvino_description import Description, Port
from pasarela_server.backends.openvino_files import ArtefactFiles, ModelSource
from pasarela_server.errors import InvalidModel

Make = Callable[..., Path]
PIXELS = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3), np.uint8)
VALUES = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)


def load(artefact: Path, cache: Path | None, **options: Any) -> Backend:
    parameters = {"precision": "f32", "wide": "false"}
    return load_backend("openvino", artefact, BackendOptions(1, 1, parameters, cache_folder=cache, **options))


def answer(backend: Backend, images: np.ndarray) -> np.ndarray:
    return backend.session().infer({"images": images})["output0"]


@pytest.fixture
def artefact(make: Make, tmp_path: Path) -> Path:
    folder = tmp_path / "1"
    folder.mkdir()
    return make("openvino_detector", folder)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How models were had: each entry is one that was read from the disk, or made of what had been read."""
    had: list[str] = []
    read, model = ModelSource.read, ModelSource.model

    def reading(source: ModelSource) -> Any:
        had.append("read")
        return read(source)

    def making(source: ModelSource) -> Any:
        had.extend(["made"] if source._model is None else [])
        return model(source)

    monkeypatch.setattr(ModelSource, "read", reading)
    monkeypatch.setattr(ModelSource, "model", making)
    return had


def test_a_start_that_compiles_nothing_reads_no_model(artefact: Path, tmp_path: Path, readings: list[str]) -> None:
    first = load(artefact, tmp_path)
    assert readings == ["read"]
    second = load(artefact, tmp_path)
    assert second.spec == first.spec
    assert second.description == first.description
    assert np.array_equal(answer(second, PIXELS), answer(first, PIXELS))
    assert readings == ["read"]


@pytest.mark.parametrize("fate", ["as it was", "gone", "another model"])
def test_a_form_that_is_compiled_later_is_that_of_the_model_that_was_loaded(
    artefact: Path, tmp_path: Path, make: Make, readings: list[str], fate: str
) -> None:
    expected = answer(load(artefact, None), VALUES)
    load(artefact, tmp_path)
    readings.clear()
    backend = load(artefact, tmp_path)
    if fate != "as it was":
        shutil.rmtree(artefact.parent)
    if fate == "another model":
        artefact.parent.mkdir()
        make("openvino_adder", artefact.parent)
    np.testing.assert_allclose(answer(backend, VALUES), expected, atol=1e-4)
    assert readings == ["made"]
    kept = {file.name for file in (tmp_path / "openvino").iterdir()}
    assert len(kept) == (3 if fate == "as it was" else 2), "what cannot be checked any more is not kept"


def test_a_form_whose_entry_is_gone_is_compiled_of_what_was_read(
    artefact: Path, tmp_path: Path, readings: list[str]
) -> None:
    expected = answer(load(artefact, tmp_path), PIXELS)
    largest = max((tmp_path / "openvino").iterdir(), key=lambda file: file.stat().st_size)
    largest.unlink()
    assert np.array_equal(answer(load(artefact, tmp_path), PIXELS), expected)
    assert readings == ["read", "made"]
    assert largest.exists()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        pytest.param(lambda file: file.write_text(file.read_text().replace("vest", "west")), {0: "west"}, id="changed"),
        pytest.param(lambda file: file.unlink(), None, id="gone"),
    ],
)
def test_metadata_that_changed_are_read_again(artefact: Path, tmp_path: Path, change: Any, names: Any) -> None:
    written = artefact.with_name("metadata.yaml")
    whole, before = written.read_text(), load(artefact, tmp_path).spec
    assert "vest" in whole
    change(written)
    after = load(artefact, tmp_path).spec
    assert after == load(artefact, None).spec
    assert after != before
    assert names is None or after.metadata["names"] | names == after.metadata["names"]
    written.write_text(whole)
    assert load(artefact, tmp_path).spec == before


def test_metadata_that_break_are_refused_whatever_was_kept(artefact: Path, tmp_path: Path) -> None:
    load(artefact, tmp_path)
    artefact.with_name("metadata.yaml").write_text("a: [")
    with pytest.raises(InvalidModel, match="no YAML"):
        load(artefact, tmp_path)


def test_names_of_the_configuration_are_given_to_what_was_kept(artefact: Path, tmp_path: Path) -> None:
    load(artefact, tmp_path)
    spec = load(artefact, tmp_path, input_names=("picture",), output_names=("boxes",)).spec
    assert [tensor.name for tensor in spec.inputs + spec.outputs] == ["picture", "boxes"]


def test_what_is_no_text_is_read_at_every_start(
    artefact: Path, tmp_path: Path, readings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with artefact.with_name("metadata.yaml").open("w") as written:
        written.write("task: detect\nstride: 32\nimgsz: [64, 96]\nnames: {0: vest}\ndate: 2026-11-26\n")
    specs = [load(artefact, tmp_path).spec for _ in range(2)]
    assert specs[0] == specs[1]
    assert str(specs[1].metadata["date"]) == "2026-11-26"
    assert readings == ["read", "read"]
    assert not caplog.records, "that is nobody's fault"


def test_other_formats_are_read_at_every_start(make: Make, tmp_path: Path, readings: list[str]) -> None:
    """What belongs to them may lie in files that nobody names."""
    artefact = make("onnx_detector", tmp_path)
    answers = [answer(load(artefact, tmp_path), VALUES) for _ in range(2)]
    assert np.array_equal(*answers)
    assert readings == ["read", "read"]


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3), max_leaves=9
)
PORTS = st.lists(
    st.builds(Port, st.text(max_size=5), st.just("f32"), st.none() | st.lists(st.integers(-1, 9)).map(tuple)),
    max_size=2,
).map(tuple)


@given(
    st.builds(
        Description, PORTS, PORTS, st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
        st.dictionaries(PLAIN, ANYTHING, max_size=3), st.booleans(), st.booleans(),
    )
)  # fmt: skip
def test_a_description_comes_back_as_it_was_or_is_not_kept(description: Description) -> None:
    content = description.to_bytes()
    again = description if content is None else Description.from_bytes(content)
    assert repr(again) == repr(description)


@pytest.mark.parametrize("content", [b"", b"1", b"((), (), None)", b"(((1,),), (), None, {}, True, False)", b"\xff"])
def test_what_is_no_description_is_none(content: bytes) -> None:
    with pytest.raises((ValueError, SyntaxError, TypeError)):
        Description.from_bytes(content)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param(lambda folder: (folder / "a").write_bytes(b"1"), True, id="written again"),
        pytest.param(lambda folder: (folder / "a").write_bytes(b"2"), False, id="overwritten"),
        pytest.param(lambda folder: (folder / "a").unlink(), False, id="deleted"),
        pytest.param(lambda folder: (folder / "b").write_bytes(b""), False, id="there now, though empty"),
        pytest.param(lambda folder: (folder / "b").mkdir(), True, id="a folder is no file"),
        pytest.param(lambda folder: (folder / "c").write_bytes(b"1"), True, id="a file that does not belong to them"),
    ],
)
def test_whether_files_are_as_they_were(tmp_path: Path, change: Any, same: bool) -> None:
    (tmp_path / "a").write_bytes(b"1")
    paths = (tmp_path / "a", tmp_path / "b")
    files = ArtefactFiles(paths)
    assert (files.content(paths[0]), files.content(paths[1])) == (b"1", b"")
    assert files.unchanged()
    change(tmp_path)
    assert files.unchanged() is same
    assert (ArtefactFiles(paths).digest == files.digest) is same
    assert files.content(paths[0]) == b"1", "whatever lies there now"
