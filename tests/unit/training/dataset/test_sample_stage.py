import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.config import SampleSection
from pasarela_training.dataset.deepfashion2 import ImageKey
from pasarela_training.dataset.sample import make_sample, read_sample
from pasarela_training.errors import TrainingError

Garment = Callable[..., dict[str, Any]]


@pytest.fixture
def twenty(add_image: Callable[..., None], make_garment: Garment) -> None:
    for number in range(1, 21):
        add_image(f"{number:06d}", make_garment(), pair_id=(number + 1) // 2)


def sample(dataset: Path, folder: Path, **choices: Any) -> dict[str, list[ImageKey]]:
    folder.mkdir()
    make_sample(dataset, SampleSection(**choices), folder)
    return read_sample(folder)


@pytest.mark.usefixtures("twenty")
def test_the_ratios_hold_and_no_image_is_in_two_splits(dataset: Path, tmp_path: Path) -> None:
    splits = sample(dataset, tmp_path / "sample")
    assert {split: len(keys) for split, keys in splits.items()} == {"train": 14, "val": 4, "test": 2}
    assert len({key for keys in splits.values() for key in keys}) == 20


@pytest.mark.usefixtures("twenty")
def test_the_same_seed_gives_the_same_lists(dataset: Path, tmp_path: Path) -> None:
    assert sample(dataset, tmp_path / "a", seed=3) == sample(dataset, tmp_path / "b", seed=3)
    assert sample(dataset, tmp_path / "c", seed=4) != sample(dataset, tmp_path / "d", seed=3)


@pytest.mark.usefixtures("twenty")
def test_pairs_stay_together_when_asked(dataset: Path, tmp_path: Path) -> None:
    splits = sample(dataset, tmp_path / "sample", group="pair")
    sides = [{(int(key.stem) + 1) // 2 for key in keys} for keys in splits.values()]
    assert sum(len(side) for side in sides) == 10


@pytest.mark.usefixtures("twenty")
def test_the_manifest_counts_what_was_chosen(dataset: Path, tmp_path: Path) -> None:
    sample(dataset, tmp_path / "sample", images=10, seed=5)
    manifest = json.loads((tmp_path / "sample" / "manifest.json").read_text())
    assert (manifest["seed"], manifest["group"]) == (5, "image")
    assert {split: counts["images"] for split, counts in manifest["splits"].items()} == {
        "train": 7,
        "val": 2,
        "test": 1,
    }
    assert manifest["splits"]["train"]["classes"]["skirt"] == 7
    assert manifest["splits"]["train"]["classes"]["trousers"] == 0


def test_the_same_stem_in_two_folders_is_two_images(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    for number in range(1, 4):
        for split in ("train", "validation"):
            add_image(f"{number:06d}", make_garment(), split=split)
    splits = sample(dataset, tmp_path / "sample", splits=("train", "validation"))
    assert sum(len(keys) for keys in splits.values()) == 6


@pytest.mark.usefixtures("twenty")
def test_what_cannot_be_used_is_left_out_and_listed(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    add_image("000001", text="{")
    (dataset / "train" / "annos" / "000002.json").unlink()
    (dataset / "train" / "image" / "000003.jpg").write_bytes(b"")
    (dataset / "train" / "image" / "000004.jpg").unlink()
    add_image("five", make_garment())
    splits = sample(dataset, tmp_path / "sample")
    faults = json.loads((tmp_path / "sample" / "manifest.json").read_text())["faults"]
    assert {(fault["key"]["stem"], fault["where"]) for fault in faults} == {
        ("000001", "annotation"),
        ("000002", "annotation"),
        ("000003", "image"),
        ("000004", "image"),
        ("five", "image"),
    }
    assert sum(len(keys) for keys in splits.values()) == 16


@pytest.mark.usefixtures("twenty")
def test_more_than_there_are_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"asks for 21 images.*20 usable"):
        sample(dataset, tmp_path / "sample", images=21)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="DeepFashion2's layout"):
        sample(tmp_path, tmp_path / "sample")


def test_too_few_images_are_refused(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    add_image("000001", make_garment())
    with pytest.raises(TrainingError, match="too few to split"):
        sample(dataset, tmp_path / "sample")
