"""The ids of images and categories in COCO annotations, so that results can be compared with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pasarela_client.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Annotations:
    """What a file of COCO annotations says of images and categories."""

    path: Path
    image_ids: Mapping[str, int]
    """By `file_name`."""
    same_name: Mapping[str, tuple[str, ...]]
    """For the last part of a `file_name` all that end with it."""
    categories: tuple[Mapping[str, Any], ...]
    """As they stand there."""

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Reads the file.

        Raises:
            InvalidRequest: It cannot be read, or is none.
        """
        path = Path(path)
        try:
            content = json.loads(path.read_bytes())
            image_ids = {str(image["file_name"]): int(image["id"]) for image in content["images"]}
            categories = tuple(
                {**category, "id": int(category["id"]), "name": str(category["name"])}
                for category in content["categories"]
            )
        except OSError as error:
            raise InvalidRequest(f"cannot read the annotations {path}: {error.strerror or error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidRequest(
                f"{path} holds no COCO annotations (an object with images and categories): "
                f"{type(error).__name__}: {error}"
            ) from error
        return cls(path, image_ids, _by_last_part(image_ids), categories)

    @property
    def category_ids(self) -> dict[str, int]:
        """By name."""
        return {category["name"]: category["id"] for category in self.categories}

    def image_id(self, name: str) -> int:
        """The id of an image by its path: the `file_name` may be the end of it, or it the end of one `file_name`.

        Raises:
            InvalidRequest: No image is meant, or several are.
        """
        parts = PurePosixPath(name).parts
        for begin in range(len(parts)):
            if (end := str(PurePosixPath(*parts[begin:]))) in self.image_ids:
                return self.image_ids[end]
        longer = [other for other in self.same_name.get(PurePosixPath(name).name, ()) if other.endswith(f"/{name}")]
        if len(longer) == 1:
            return self.image_ids[longer[0]]
        if longer:
            raise InvalidRequest(f"{name} may be several images of {self.path}: {', '.join(longer[:3])}")
        raise InvalidRequest(f"{name} is not among the {len(self.image_ids)} images of {self.path}")


def _by_last_part(file_names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, list[str]] = {}
    for file_name in file_names:
        grouped.setdefault(PurePosixPath(file_name).name, []).append(file_name)
    return {last: tuple(names) for last, names in grouped.items()}
