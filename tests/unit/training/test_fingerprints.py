import os
from pathlib import Path

from pasarela_training.config import SampleSection, TrainSection
from pasarela_training.fingerprint import folder_fingerprint, stage_fingerprint


def test_the_order_of_keys_does_not_matter() -> None:
    one = stage_fingerprint("s", 1, {"a": 1, "b": 2}, {"x": "1", "y": "2"})
    other = stage_fingerprint("s", 1, {"b": 2, "a": 1}, {"y": "2", "x": "1"})
    assert one == other


def test_every_part_matters() -> None:
    prints = {
        stage_fingerprint("s", 1, {"a": 1}, {"x": "1"}),
        stage_fingerprint("t", 1, {"a": 1}, {"x": "1"}),
        stage_fingerprint("s", 2, {"a": 1}, {"x": "1"}),
        stage_fingerprint("s", 1, {"a": 2}, {"x": "1"}),
        stage_fingerprint("s", 1, {"a": 1}, {"x": "2"}),
    }
    assert len(prints) == 5


def test_writing_a_default_out_changes_no_recipe() -> None:
    assert SampleSection(seed=0, ratios=(7, 2, 1)).recipe() == SampleSection().recipe()
    assert TrainSection(imgsz=320).schedule()[0].recipe() == TrainSection().schedule()[0].recipe()


def test_a_folder_changes_with_names_sizes_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    os.utime(path, ns=(0, 0))
    seen = [folder_fingerprint(tmp_path)]
    os.utime(path, ns=(0, 5))
    seen.append(folder_fingerprint(tmp_path))
    path.write_text("three")
    os.utime(path, ns=(0, 5))
    seen.append(folder_fingerprint(tmp_path))
    path.rename(tmp_path / "b.txt")
    seen.append(folder_fingerprint(tmp_path))
    assert len(set(seen)) == 4
