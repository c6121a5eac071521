"""Results that are saved: what stands where in the end, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pasarela_client import Detections, ExportFailed, InvalidRequest
from pasarela_client.media import Saver
from tests.unit.client.full_disk import small_files
from tests.unit.client.made_results import make_found
from tests.unit.client.recordings import noise


def frame(index: int, origin: str = "door") -> Detections:
    return make_found(origin=origin, timestamp_s=index / 10, image=noise(index, width=640, height=480))


def test_a_video_that_did_not_fit_onto_the_disk_is_not_told_to_stand_there(tmp_path: Path) -> None:
    """What a camera gave is kept even if the run failed; this is gone."""
    saver = Saver(tmp_path / "found", live=True)
    with small_files(), pytest.raises(ExportFailed, match="File too large"):
        for index in range(100):
            saver.save(frame(index))
    saver.close()
    assert (saver.paths, saver.saved) == ([], 0)
    assert list((tmp_path / "found").iterdir()) == []


def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path) -> None:
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "deep").write_text("a file")
    saver = Saver(tmp_path / "found", roots=[Path("clips")])
    with pytest.raises(ExportFailed, match=r"cannot make the folder .*deep: File exists"):
        saver.save(frame(0, "clips/deep/a.mp4"))


def test_a_place_that_the_system_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match=r"cannot write .*: File name too long"):
        Saver(tmp_path / ("x" * 300))


@pytest.mark.parametrize("name", ["found.webm", "found.AVI"])
def test_a_video_of_a_kind_that_is_not_written_does_not_become_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"videos are saved as \.mp4, .*, not as {name}"):
        Saver(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).mkdir()
    Saver(tmp_path / name).close()
