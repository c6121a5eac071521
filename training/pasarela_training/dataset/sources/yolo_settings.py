"""What a YOLO dataset says of itself: `data.yaml`, or folders `images` and `labels` beside a `classes.txt`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pasarela_training.dataset.records import Entry, Fault, ImageKey
from pasarela_training.dataset.sources.files import IMAGE_SUFFIXES, images_below, printable, usable_name
from pasarela_training.dataset.sources.numbers import is_integer, shown
from pasarela_training.errors import TrainingError

CLASSES = "classes.txt"
_SPLITS = {"train": ("train",), "validation": ("val", "validation", "valid"), "test": ("test",)}


@dataclass(frozen=True, slots=True)
class YoloSettings:
    """What is known before any image is looked for."""

    names: tuple[str, ...]
    """Of the classes, from 0."""
    places: dict[str, list[Path]] = field(default_factory=dict)
    """Folders of images, and lists of them (`*.txt`), by split."""
    landmarks: int = 0
    landmark_numbers: int = 0


def find_settings(root: Path) -> Path | None:
    """`data.yaml`, or another YAML file with `names`, or `classes.txt` beside `images` and `labels`."""
    files = sorted(path for path in root.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())
    files.sort(key=lambda path: path.stem != "data")
    for path in files:
        content = _yaml(path)
        if isinstance(content, dict) and "names" in content:
            return path
    classes = root / CLASSES
    return classes if classes.is_file() and all((root / name).is_dir() for name in ("images", "labels")) else None


def read_settings(root: Path) -> YoloSettings:
    """Reads what `find_settings` finds.

    Raises:
        TrainingError: There is nothing, or it cannot be used.
    """
    path = find_settings(root)
    if path is None:
        raise TrainingError(f"{root} has neither data.yaml with `names`, nor images, labels and {CLASSES}")
    if path.name == CLASSES:
        return _plain_folders(root, path)
    content = _yaml(path)
    names = _names(path, content["names"])
    places: dict[str, list[Path]] = {}
    for split, keys in _SPLITS.items():
        value = next((content[key] for key in keys if content.get(key)), None)
        if value is not None:
            values = value if isinstance(value, list) else [value]
            places[split] = [_place(path, content.get("path"), one) for one in values]
    if not places:
        raise TrainingError(f"{path}: has none of train, val and test")
    shape = content.get("kpt_shape")
    fits = isinstance(shape, list) and len(shape) == 2 and all(is_integer(one) for one in shape)
    if shape is not None and not (fits and shape[0] > 0 and shape[1] in (2, 3)):
        raise TrainingError(f"{path}: kpt_shape is {shown(shape)}, expected [landmarks, 2 or 3]")
    return YoloSettings(names, places, *(shape or (0, 0)))


def list_images(root: Path, settings: YoloSettings) -> tuple[Path, dict[str, tuple[list[Entry], list[Fault]]]]:
    """Lists the images of all splits, with their labels' paths.

    Returns:
        The folder above all of them, and what was found by split.

    Raises:
        TrainingError: A list of images cannot be read.
    """
    images = {
        split: sorted({image for place in places for image in _images_of(place)})
        for split, places in settings.places.items()
    }
    everything = [root.resolve(), *(place.resolve() for places in settings.places.values() for place in places)]
    everything += [image.parent for listed in images.values() for image in listed]
    above = Path(os.path.commonpath(everything))
    shared = {split: _common(listed) for split, listed in images.items()}
    keyed = sorted(
        (ImageKey(split, image.relative_to(shared[split]).as_posix()), image)
        for split, listed in images.items()
        for image in listed
    )
    found: dict[str, tuple[list[Entry], list[Fault]]] = {split: ([], []) for split in images}
    for number, (key, image) in enumerate(keyed, start=1):
        if usable_name(key.name) is None:
            named = ImageKey(key.split, printable(key.name))
            found[key.split][1].append(Fault(named, "image", "the file's name cannot be used", "dropped", "bad value"))
            continue
        found[key.split][0].append(Entry(key, number, image, str(label_path(image))))
    return above, found


def label_path(image: Path) -> Path:
    """Where the labels of an image lie: the last folder `images` of its path becomes `labels`."""
    parts = list(image.parts)
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _plain_folders(root: Path, classes: Path) -> YoloSettings:
    try:
        names = tuple(line.strip() for line in classes.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{classes}: not readable as text: {error}") from error
    if not names:
        raise TrainingError(f"{classes}: expected the name of a class on each line, found nothing")
    places = {
        split: [root / "images" / key for key in keys if (root / "images" / key).is_dir()]
        for split, keys in _SPLITS.items()
    }
    return YoloSettings(
        names, {split: found for split, found in places.items() if found} or {"train": [root / "images"]}
    )


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        if path.stem != "data":
            return None
        raise TrainingError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error


def _names(path: Path, names: Any) -> tuple[str, ...]:
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise TrainingError(f"{path}: names is {shown(names)}, expected a list, or numbers from 0 with a name each")
    return tuple(str(name) for name in names)


def _place(settings: Path, base: Any, value: Any) -> Path:
    """A folder or list of images. Exports that say `../train/images` mean the folder beside the file."""
    if not isinstance(value, str):
        raise TrainingError(f"{settings}: {shown(value)} is no path of a folder or list of images")
    here = settings.parent
    bases = [here / str(base), here] if base else [here]
    tries = [one / text for one in bases for text in dict.fromkeys((value, value.removeprefix("../")))]
    for place in tries:
        if place.exists():
            return place.resolve()
    raise TrainingError(f"{settings}: there is no {value}; looked at {', '.join(str(place) for place in tries)}")


def _images_of(place: Path) -> list[Path]:
    if place.is_dir():
        return [place / name for name in images_below(place)]
    try:
        lines = [line.strip() for line in place.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise TrainingError(f"{place}: not readable as a list of images: {error}") from error
    images = [Path(os.path.normpath(place.parent / line)) for line in lines if line]
    other = next((image for image in images if image.suffix.lower() not in IMAGE_SUFFIXES), None)
    if other is not None:
        raise TrainingError(f"{place}: {other} is no image")
    return images


def _common(images: list[Path]) -> Path:
    return Path(os.path.commonpath([image.parent for image in images])) if images else Path()
