"""Names of the files in the YOLO form, where the images of all folders lie in one."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

_SAY_NOTHING = frozenset({"image", "images", "img", "imgs"})
_DIGITS = 8


class FileNames:
    """Gives every image a name of its own within a split: `train/image/000001.jpg` becomes `train_000001`.

    The folders come first, without those that only say that images lie there. Where two images would get the same
    name, the later one gets a part of the SHA-256 of its file name appended. The name has no suffix, since an image
    and its labels share it.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, file_name: str) -> str:
        """The name for an image, which must not have been named before.

        Args:
            file_name: As in the COCO document, with forward slashes.
        """
        path = PurePosixPath(file_name)
        folders = [part for part in path.parts[:-1] if part.lower() not in _SAY_NOTHING and not part.startswith("/")]
        name = "_".join([*folders, path.stem])
        if name in self._taken:
            name = f"{name}-{hashlib.sha256(file_name.encode()).hexdigest()[:_DIGITS]}"
        self._taken.add(name)
        return name
