"""What saved files are called."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client.media.target_names import PICTURE_SUFFIXES, TargetNames, clashing

FOUND = Path("found")
BEGUN = datetime(2026, 11, 26, 5, 6, 7)  # noqa: DTZ001 - as a person's clock shows it


@pytest.mark.parametrize(
    ("roots", "origins", "names"),
    [
        # reason: files that were named one by one lie side by side
        ([], ["a.jpg", "photos/b.png"], ["a.jpg", "b.png"]),
        # reason: none takes the place of another
        ([], ["x/a.jpg", "y/a.jpg", "a-2.jpg", "z/a.jpg"], ["a.jpg", "a-2.jpg", "a-2-2.jpg", "a-3.jpg"]),
        # reason: a folder that was named keeps its folders
        (["photos"], ["photos/a.jpg", "photos/deep/a.jpg", "a.jpg"], ["a.jpg", "deep/a.jpg", "a-2.jpg"]),
        # reason: the nearest of several roots counts
        (["photos", "photos/deep"], ["photos/deep/a.jpg", "photos/b.jpg"], ["a.jpg", "b.jpg"]),
        # reason: what Pillow cannot write gets a suffix that it can
        ([], ["scan.dat", "stdin-000001", "photo.JPG", ""], ["scan.dat.jpg", "stdin-000001.jpg", "photo.JPG", "image.jpg"]),
        # reason: nobody leaves the folder
        (["photos"], ["/etc/passwd.png", "../up.png"], ["passwd.png", "up.png"]),
    ],
)  # fmt: skip
def test_pictures(roots: list[str], origins: list[str], names: list[str]) -> None:
    targets = TargetNames(FOUND, [Path(root) for root in roots])
    assert [targets.picture(origin) for origin in origins] == [FOUND / name for name in names]


@pytest.mark.parametrize(
    ("origin", "begun", "name"),
    [
        ("clips/street.mov", None, "street.mp4"),
        ("videos/day1/street.mov", None, "day1/street.mp4"),
        ("stdin", None, "stdin.mp4"),
        # reason: a camera shows something else each time
        ("/dev/video0", BEGUN, "video0-20261126-050607.mp4"),
        ("rtsp://10.0.0.5:554/live/1?x=y", BEGUN, "10.0.0.5-1-20261126-050607.mp4"),
        ("http://host/a%20b.mp4", None, "host-a-b.mp4"),
        ("http://host/", None, "host.mp4"),
        ("rtsp://host/..%2f..%2fetc", None, "host-etc.mp4"),
    ],
)
def test_videos(origin: str, begun: datetime | None, name: str) -> None:
    assert TargetNames(FOUND, [Path("videos")]).video(origin, begun) == FOUND / name


def test_videos_of_one_name_are_numbered() -> None:
    targets = TargetNames(FOUND)
    assert [targets.video(origin).name for origin in ("a.mp4", "a.mov", "x/a.mp4")] == ["a.mp4", "a-2.mp4", "a-3.mp4"]


@given(st.lists(st.text("ab./-2", max_size=8), max_size=12), st.lists(st.sampled_from(["a", "a/b", "."]), max_size=2))
def test_no_name_comes_twice_and_none_leaves_the_folder(origins: list[str], roots: list[str]) -> None:
    targets = TargetNames(FOUND, [Path(root) for root in roots])
    names = [name for origin in origins for name in (targets.picture(origin), targets.video(origin))]
    assert len(set(names)) == len(names)
    assert all(FOUND in name.parents and ".." not in name.parts for name in names)
    assert all(name.suffix.lower() in PICTURE_SUFFIXES for name in names[::2])


def test_a_target_that_is_a_source_is_found_by_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    other, same = tmp_path / "b.jpg", tmp_path / "link" / "a.jpg"
    assert clashing([other, same], [tmp_path / "a.jpg"]) == same
    assert clashing([other], [tmp_path / "a.jpg"]) is None
