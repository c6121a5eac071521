from pathlib import Path

import pytest
from PIL import Image

from pasarela_training.train.curves import draw_curves, read_results

HEAD = "epoch,time,train/box_loss,train/cls_loss,metrics/mAP50(B),metrics/mAP50-95(B),lr/pg0\n"


def test_two_phases_are_one_picture(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / f"phase-{number}"
        folder.mkdir()
        (folder / "results.csv").write_text(HEAD + "1,2,3,4,0.1,0.05,0.01\n2,4,2,3,0.2,0.1,0.005\n")
    place = draw_curves(tmp_path, 2, validated=True)
    assert place is not None
    with Image.open(place) as picture:
        assert picture.width > picture.height


@pytest.mark.parametrize(
    "text",
    [
        None,  # reason: no file, as when a phase was taken over from a training without one
        "",  # reason: cut short before the head
        HEAD,  # reason: cut short before the first epoch
    ],
)
def test_without_epochs_nothing_is_drawn(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "phase-1").mkdir()
    if text is not None:
        (tmp_path / "phase-1" / "results.csv").write_text(text)
    assert draw_curves(tmp_path, 1, validated=False) is None


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(HEAD + "1,2,3,,x,0.05\n")
    assert read_results(path) == [{"epoch": 1, "time": 2, "train/box_loss": 3, "metrics/mAP50-95(B)": 0.05}]
