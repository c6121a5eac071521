import pickle
from pathlib import Path

import pytest
from PIL import Image

from pasarela_training.dataset.records import Annotation, BrokenAnnotation, Fault
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.errors import TrainingError


def lay(root: Path, image: str, label: str | None, *, turned: bool = False) -> None:
    """An image of 100 by 200 pixels as it is seen."""
    place = root / image
    place.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.new("RGB", (200, 100) if turned else (100, 200)).save(place, exif=exif)
    if label is not None:
        path = root / f"{image.replace('images', 'labels').rpartition('.')[0]}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(label)


def read(root: Path) -> tuple[list[Annotation], list[Fault]]:
    source = open_source(root)
    entries, faults = source.entries(("train",))
    sent = pickle.loads(pickle.dumps(source))
    annotations = []
    for entry in entries:
        annotation, found = sent.read(entry)
        annotations.append(annotation)
        faults += found
    return annotations, faults


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ("train: images/train", "images/train/a.jpg"),  # reason: a folder
        ("train: [images/other, images/train]", "images/train/a.jpg"),  # reason: several
        ("train: list.txt", "images/train/a.jpg"),  # reason: a list of files
        ("path: .\ntrain: images/train", "images/train/a.jpg"),  # reason: with a base
        ("train: ../train/images", "train/images/a.jpg"),  # reason: exports that mean the folder beside the file
    ],
)
@pytest.mark.parametrize("names", ["[coat, hat]", "{0: coat, 1: hat}"])
def test_images_and_labels_are_found(tmp_path: Path, settings: str, image: str, names: str) -> None:
    root = tmp_path / "data"
    (root / "images" / "other").mkdir(parents=True)
    lay(root, image, "1 0.25 0.25 0.3 0.3\n")
    (root / "list.txt").write_text(f"./{image}\n")
    (root / "data.yaml").write_text(f"{settings}\nnames: {names}\n")
    (annotation,), faults = read(root)
    assert faults == []
    assert annotation.file_name == image
    (item,) = annotation.items
    assert (item.number, item.category_id) == (1, 1)
    assert item.box == pytest.approx((10, 20, 40, 80))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    (tmp_path / "classes.txt").write_text("coat\nhat\n")
    return tmp_path


@pytest.mark.parametrize("turned", [False, True])
def test_shares_are_of_the_picture_as_it_is_seen(plain: Path, turned: bool) -> None:
    lay(plain, "images/a.jpg", "0 0.5 0.5 1 0.5\n", turned=turned)
    (annotation,), _ = read(plain)
    assert annotation.items[0].box == pytest.approx((0, 50, 100, 150))


def test_a_polygon_gives_its_box(plain: Path) -> None:
    lay(plain, "images/a.jpg", "1 0.1 0.1 0.4 0.1 0.4 0.4\n")
    (annotation,), faults = read(plain)
    (item,) = annotation.items
    assert faults == []
    assert item.box == pytest.approx((10, 20, 40, 80))
    assert item.segmentation[0] == pytest.approx([10, 20, 40, 20, 40, 80])


@pytest.mark.parametrize("label", [None, "", "\n\n"])
def test_an_image_without_labels_has_nothing_on_it(plain: Path, label: str | None) -> None:
    lay(plain, "images/a.jpg", label)
    (plain / "labels").mkdir(exist_ok=True)
    (annotation,), faults = read(plain)
    assert (annotation.items, faults) == ((), [])


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("2 0.5 0.5 0.1 0.1", "unknown category"),  # reason: there are two, from 0
        ("coat 0.5 0.5 0.1 0.1", "unknown category"),  # reason: a name
        ("0 0.5 0.5 0.1", "bad value"),  # reason: three numbers
        ("0 0.5 0.5 0.1 x", "bad value"),  # reason: text
        ("0 0.5 nan 0.1 0.1", "bad value"),  # reason: Python reads it as a number
        ("0 0.5 0.5 0 0.1", "no area"),  # reason: no width
        ("0 50 50 10 10", "outside the image"),  # reason: pixels
        ("0 0.1 0.1 0.1 0.1 0.1 0.3", "no area"),  # reason: a polygon that is a line
        ("1 0.5 0.5 0.2 0.2", "duplicate"),  # reason: the same line again
    ],
)
def test_a_bad_line_is_named(plain: Path, line: str, kind: str) -> None:
    lay(plain, "images/a.jpg", f"1 0.5 0.5 0.2 0.2\n\n{line}\n")
    (annotation,), (fault,) = read(plain)
    assert (fault.where, fault.kind, fault.action) == ("line 3", kind, "dropped")
    assert len(annotation.items) == 1


def test_an_image_that_is_none_says_so(plain: Path) -> None:
    lay(plain, "images/a.jpg", "1 0.5 0.5 0.2 0.2\n")
    (plain / "images" / "a.jpg").write_bytes(b"nothing of the kind")
    with pytest.raises(BrokenAnnotation, match="size cannot be read"):
        read(plain)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ("names: [a]\n", "none of train, val and test"),  # reason: no images
        ("names: 3\ntrain: .\n", "names is 3"),  # reason: a count
        ("names: {1: a}\ntrain: .\n", "numbers from 0"),  # reason: a gap
        ("names: [a]\ntrain: nowhere\n", "there is no nowhere"),  # reason: no such folder
        ("names: [a]\ntrain: {a: b}\n", "no path"),  # reason: neither text nor list
        ("names: [a\n", "not readable as YAML"),  # reason: cut short
        ("names: [a]\ntrain: .\nkpt_shape: 3\n", "kpt_shape is 3"),  # reason: one number
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, settings: str, part: str) -> None:
    (tmp_path / "data.yaml").write_text(settings)
    with pytest.raises(TrainingError, match=part):
        open_source(tmp_path)
