"""What a person means by an argument."""

from pathlib import Path
from typing import Any

import pytest

from pasarela_client.errors import SourceUnreadable
from pasarela_client.sources.named import Address, Stills, VideoFile, Webcam, named_by
from pasarela_client.sources.suffixes import content_of, is_video

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1"
MATROSKA = b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "photos/frame10.jpg", "photos/frame9.jpg", "photos/B.PNG", "photos/notes.txt", "photos/clip.mp4",
        "photos/deep/frame1.jpg", "photos/zebra.webp", "frames/000001.jpg", "frames/000003.jpg", "frames/10.jpg",
        "frames/1000000.jpg", "frames/000002.jpeg", "empty/notes.txt", "odd[1].jpg", "unnamed", "film", "0",
        "with space.jpg",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(MATROSKA if name == "film" else JPEG)
    return tmp_path


def stills(*names: str, root: str | None = None) -> Stills:
    return Stills(tuple(map(Path, names)), Path(root) if root is not None else None)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        # reason: a file is itself, whether it is there or not: that shows when it is read
        ("photos/B.PNG", [stills("photos/B.PNG")]),
        ("gone.jpg", [stills("gone.jpg")]),
        ("gone.mp4", [VideoFile(Path("gone.mp4"))]),
        # reason: a name that says nothing is not the end: the first bytes say it
        ("unnamed", [stills("unnamed")]),
        ("film", [VideoFile(Path("film"))]),
        ("photos/notes.txt", [stills("photos/notes.txt")]),
        # reason: numbers in names are numbers; a video stands in its place between the stills
        (
            "photos",
            [
                stills("photos/B.PNG", root="photos"),
                VideoFile(Path("photos/clip.mp4"), Path("photos")),
                stills("photos/frame9.jpg", "photos/frame10.jpg", "photos/zebra.webp", root="photos"),
            ],
        ),
        ("photos/*.jpg", [stills("photos/frame9.jpg", "photos/frame10.jpg", root="photos")]),
        # reason: what a glob finds keeps its folders below the part without a pattern
        ("**/frame1.jpg", [stills("photos/deep/frame1.jpg", root=".")]),
        # reason: files are called like patterns, too
        ("odd[1].jpg", [stills("odd[1].jpg")]),
        # reason: %06d means six digits or more, as in C, and counts
        (
            "frames/%06d.jpg",
            [stills("frames/000001.jpg", "frames/000003.jpg", "frames/1000000.jpg", root="frames")],
        ),
        ("frames/%d.jpg", [stills(*[f"frames/{n}.jpg" for n in ("000001", "000003", "10", "1000000")], root="frames")]),
        # reason: a file called 0 is there, so 0 is that; 1 is not
        ("0", [stills("0")]),
        ("1", [Webcam("1")]),
        ("webcam:0", [Webcam("0")]),
        ("webcam:/dev/v4l/by-id/usb", [Webcam("/dev/v4l/by-id/usb")]),
        ("/dev/video7", [Webcam("/dev/video7")]),
        ("rtsp://user:secret@10.0.0.5/1", [Address("rtsp://user:secret@10.0.0.5/1")]),
        ("http://10.0.0.5/stream.mjpg", [Address("http://10.0.0.5/stream.mjpg")]),
    ],
)  # fmt: skip
def test_what_an_argument_means(folder: Path, argument: str, expected: list[Any]) -> None:
    assert named_by(argument) == expected


def test_a_number_and_a_path_are_as_good_as_their_text(folder: Path) -> None:
    assert named_by(3) == [Webcam("3")]
    assert named_by(Path("photos/B.PNG")) == named_by("photos/B.PNG")


def test_an_address_of_a_file_is_a_path_with_its_letters_decoded(folder: Path) -> None:
    path = folder / "with space.jpg"
    assert named_by(path.as_uri()) == [stills(str(path))]


def test_folders_below_are_taken_if_that_is_asked_for(folder: Path) -> None:
    before, clip, after = named_by("photos", recursive=True)
    names = ("photos/deep/frame1.jpg", "photos/frame9.jpg", "photos/frame10.jpg", "photos/zebra.webp")
    assert [before, after] == [stills("photos/B.PNG", root="photos"), stills(*names, root="photos")]
    assert clip == VideoFile(Path("photos/clip.mp4"), Path("photos"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("empty", r"no images \(.*\.jpg.*\) and no videos in the folder empty.*--recursive"),
        ("*.tiff", r"nothing matches \*\.tiff"),
        ("gone/%04d.jpg", "cannot read the folder gone: No such file"),
        ("photos/%04d.tiff", "no file is numbered as photos/%04d.tiff says"),
        ("gopher://host/clip", "there is no way to read gopher://, only .*rtsp"),
    ],
)
def test_what_stands_for_nothing(folder: Path, argument: str, message: str) -> None:
    with pytest.raises(SourceUnreadable, match=message):
        named_by(argument)


@pytest.mark.parametrize(
    ("argument", "message"),
    [("x" * 300, "cannot read xxx.*: File name too long"), ("file://[x/a.jpg", "cannot read file://.*: Invalid")],
)
def test_what_the_system_refuses_to_look_at_is_told(argument: str, message: str) -> None:
    """As it refuses files in a folder that must not be entered: the others are to be done all the same."""
    with pytest.raises(SourceUnreadable, match=message):
        named_by(argument)


def test_a_folder_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceUnreadable, match="cannot read the folder photos: Permission denied"):
        named_by("photos")


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (JPEG, "images"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "images"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "images"),
        (b"BM6\0\1\0\0\0\0\0\x36\0\0\0(\0", "images"),
        (b"RIFF\x10\0\0\0AVI LIST", "video"),
        (MATROSKA, "video"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video"),
        (b"G@\0\x10\0\0\xb0\r\0\1\xc1\0\0\0\1\xf0", "video"),
        # reason: these begin as text does
        (b"YUV4MPEG2 W64 H4", "video"),
        (b"--frame\r\nContent", "video"),
        (b"GIF89a@\0\x30\0\xf7\0\0", "video"),
        (b"photos/a.jpg\nph", "paths"),
        (b"a.jpg", "paths"),
        (b"BMW.jpg\nAudi.jpg\n", "paths"),
        ("größe.jpg\n".encode(), "paths"),
        (b"caf\xe9.jpg\r\n", "paths"),
        (b"RIFF.txt\n", "paths"),
    ],
)
def test_first_bytes_tell_what_is_piped_in(head: bytes, content: str) -> None:
    assert content_of(head) == content


@pytest.mark.parametrize(
    ("suffix", "head", "expected"),
    [
        (".jpg", MATROSKA, False),  # reason: the server judges images, and says what is wrong with them
        (".MP4", JPEG, True),
        (".dat", MATROSKA, True),
        (".dat", JPEG, False),
        ("", b"", False),
    ],
)
def test_the_name_decides_before_the_bytes(suffix: str, head: bytes, expected: bool) -> None:
    assert is_video(suffix, head) is expected
