"""Finding out which layout a dataset has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pasarela_training.dataset.sources.base import Source
from pasarela_training.dataset.sources.coco import find_documents, open_coco
from pasarela_training.dataset.sources.deepfashion import find_lists, open_deepfashion
from pasarela_training.dataset.sources.deepfashion2 import DeepFashion2Source
from pasarela_training.dataset.sources.files import listing
from pasarela_training.dataset.sources.yolo import find_settings, open_yolo
from pasarela_training.errors import TrainingError

_LAYOUTS: dict[str, tuple[str, Callable[[Path], bool], Callable[[Path], Source]]] = {
    "deepfashion2": (
        "DeepFashion2 (train/image and train/annos)",
        DeepFashion2Source.fits,
        DeepFashion2Source,
    ),
    "deepfashion": (
        "DeepFashion 2016 (list_bbox.txt, at most three folders deep)",
        lambda root: "list_bbox.txt" in find_lists(root),
        open_deepfashion,
    ),
    "yolo": (
        "YOLO (data.yaml, or images/, labels/ and classes.txt)",
        lambda root: find_settings(root) is not None,
        open_yolo,
    ),
    "coco": (
        "COCO (JSON with images, annotations and categories, at most two folders deep)",
        lambda root: bool(find_documents(root)),
        open_coco,
    ),
}


def open_source(root: Path, layout: str = "auto") -> Source:
    """Opens a dataset.

    Args:
        root: Its folder.
        layout: `deepfashion2`, `deepfashion`, `coco`, `yolo`, or `auto` to look which it is.

    Raises:
        TrainingError: The folder is not there, has no layout that is known, or several; or not the one that was told.
    """
    if not root.is_dir():
        raise TrainingError(f"dataset.source: there is no folder {root}")
    if layout != "auto" and layout not in _LAYOUTS:
        raise TrainingError(f"dataset.layout is '{layout}', expected auto, {', '.join(_LAYOUTS)}")
    wanted = _LAYOUTS if layout == "auto" else {layout: _LAYOUTS[layout]}
    try:
        fitting = [name for name, (_, fits, _) in wanted.items() if fits(root)]
        if len(fitting) == 1:
            return wanted[fitting[0]][2](root)
        looked_for = "; ".join(description for description, _, _ in wanted.values())
        found = listing(root)
    except OSError as error:
        raise TrainingError(f"dataset.source: {error.filename or root}: {error.strerror}") from error
    if fitting:
        raise TrainingError(
            f"dataset.source: {root} could be {' or '.join(fitting)}; say which with dataset.layout (it holds {found})"
        )
    raise TrainingError(
        f"dataset.source: {root} has no layout that is known here. Looked for {looked_for}. Found {found}. "
        f"Give the folder that holds these, or say what it is with dataset.layout"
    )
