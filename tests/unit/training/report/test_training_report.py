"""The report with everything missing, with everything there, and with names that look like HTML."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from PIL import Image

from pasarela_training.config import Config
from pasarela_training.config.dataset import DatasetSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.measured import Measured, write_measured
from pasarela_training.evaluate.scores import Scores
from pasarela_training.export.check import VariantCheck, write_checks
from pasarela_training.report.pictures import MAX_WIDTH_PX, inlined
from pasarela_training.report.stage import make_report, sections

NASTY = "<script>alert('skirt')</script>"


def config(workspace: Path) -> Config:
    return Config(workspace=workspace, dataset=DatasetSection(source=Path("data")))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace in which every stage has left something."""
    folder = tmp_path / "work"
    for name in ("coco", "sample", "train", "evaluate/pictures", "verify", "export", "compare", "look/test"):
        (folder / name).mkdir(parents=True)
    counts = {"images": 1, "items": 417, "classes": {NASTY: 417}, "digest": "d1ge57"}
    manifest = {"layout": "COCO", "seed": 3, "mended": {"ids as text": 5}, "splits": {"test": counts}}
    (folder / "sample/manifest.json").write_bytes(orjson.dumps(manifest))
    fault = {"image": "a", "where": "item1", "kind": "box", "reason": "is <empty>", "action": "dropped"}
    found = {"images": 1, "images_that_lost_something": 1, "kinds": {"box": 1}, "faults": [fault]}
    (folder / "sample/report.json").write_bytes(orjson.dumps(found))
    scores = Scores(0.5, 0.7, 0.6, {NASTY: 0.5}, {"small": None, "medium": 0.4, "large": 0.6}, {NASTY: 0.7})
    for stage in ("evaluate", "verify"):
        write_measured(folder / stage, [Measured("onnx", "ONNX Runtime", 1.0, {"test": scores})])
    write_checks(
        folder / "export", {"int8": VariantCheck(True, [], "int8", 0.1, 0.0, None, None, 1.0, 0.99, 0.01, ["conv.7"])}
    )
    compared = {"header": ["variant", "ms"], "table": [["ONNX", "9.0"]], "machine": {"processor": "Some CPU"}}
    (folder / "compare/results.json").write_bytes(orjson.dumps(compared))
    missed = [{"picture": "test/001-a.jpg", "image": "a.jpg", "missed": 1, "false_alarms": 0, "wrong_class": 0}]
    (folder / "look/missed.json").write_bytes(orjson.dumps({"test": missed}))
    pictures = ("train/curves.png", "evaluate/pictures/onnx-test-pr.png", "compare/compare.png", "look/test/001-a.jpg")
    for name in pictures:
        Image.new("RGB", (20, 10)).save(folder / name)
    return folder


def test_everything_missing(tmp_path: Path) -> None:
    told = make_report(tmp_path / "nothing", config(tmp_path), tmp_path / "out" / "report.html")
    text = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "report.html" in told
    assert "What was run" in text
    assert "<section>" not in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


def test_everything_there(workspace: Path) -> None:
    place = workspace / "report.html"
    make_report(workspace, config(workspace), place)
    text = place.read_text(encoding="utf-8")
    assert text.count("<section>") == 8
    assert text.count("data:image/") == 4
    assert "through the server" in text
    assert "Some CPU" in text
    assert "conv.7" in text
    assert all(part in text for part in ("417", "d1ge57", "mended: ids as text"))
    assert 'src="http' not in text


def test_names_are_escaped(workspace: Path) -> None:
    make_report(workspace, config(workspace), workspace / "report.html")
    text = (workspace / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "is &lt;empty&gt;" in text


@pytest.mark.parametrize(
    "name",
    [
        "sample/manifest.json",  # reason: an interrupted copy
        "evaluate/results.json",  # reason: of another version
        "compare/results.json",  # reason: not written by the stage
        "train/curves.png",  # reason: no picture
    ],
)
def test_what_cannot_be_read_is_left_out(workspace: Path, name: str) -> None:
    (workspace / name).write_bytes(b"[")
    assert sections(workspace)


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        make_report(tmp_path, config(tmp_path), tmp_path / "file" / "report.html")


def test_wide_pictures_are_scaled(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 10)).save(tmp_path / "wide.png")
    Image.new("RGB", (MAX_WIDTH_PX, 5)).save(tmp_path / "fits.png")
    assert (inlined(tmp_path / "wide.png") or "").startswith("data:image/png;base64,")
    assert inlined(tmp_path / "missing.png") is None
