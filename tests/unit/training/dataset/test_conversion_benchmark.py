import json
import random
from pathlib import Path

import pytest

from pasarela_training.dataset.benchmark.__main__ import main
from pasarela_training.dataset.benchmark.generate import annotation, generate_dataset
from pasarela_training.dataset.benchmark.plain import convert_plainly


def test_generated_annotations_are_as_long_as_real_ones() -> None:
    lengths = [len(json.dumps(annotation(random.Random(seed), 468, 624, 1))) for seed in range(200)]
    assert 2_000 < sum(lengths) / len(lengths) < 10_000


def test_every_image_lies_in_one_split(tmp_path: Path) -> None:
    generate_dataset(tmp_path, 10, 1)
    lists = [(tmp_path / "sample" / f"{split}.txt").read_text() for split in ("train", "val", "test")]
    assert "".join(lists).splitlines() == [f"train/{number:06d}" for number in range(1, 11)]
    convert_plainly(tmp_path / "data" / "train", tmp_path / "plain.json")
    assert len(json.loads((tmp_path / "plain.json").read_text())["images"]) == 10


def test_figures_of_a_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, figures = tmp_path / "work", tmp_path / "figures.json"
    arguments = ["--files", "12", "--folder", str(folder), "--rounds", "1", "--processes", "1", "--json", str(figures)]
    assert main(arguments) == 0
    assert not folder.exists()
    runs = json.loads(figures.read_text())["runs"]
    assert list(runs) == ["plain", "ours", "read"]
    assert all(run["files_per_s"] > 0 and len(run["seconds"]) == 1 for run in runs.values())
    assert "pasarela" in capsys.readouterr().out


def test_what_others_left_is_not_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sample").mkdir()
    assert main(["--files", "12", "--folder", str(tmp_path)]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "sample").is_dir()
