"""What a detector found on one image: parallel arrays, best score first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import numpy.typing as npt

from pasarela_client.errors import PasarelaError
from pasarela_client.timings import NOT_TOLD, Timings

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from pasarela_client.images import Channels, ImageSource

Selection = slice | npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]] | list[bool] | list[int]


@dataclass(frozen=True, slots=True)
class Detection:
    """One object found on an image."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels of the source image."""
    score: float
    """0 to 1."""
    class_id: int
    name: str

    def to_dict(self) -> dict[str, Any]:
        """The detection in types that JSON knows, score and box rounded to the digits that 32 bits hold."""
        return {
            "name": self.name,
            "class_id": self.class_id,
            "score": round(self.score, 6),
            "box": [round(edge, 3) for edge in self.box],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The objects found on one image, as arrays of one length n sorted by falling score.

    Iterating gives `Detection` objects, as does an integer index; a slice, a boolean mask or an array of indices
    gives the `Detections` chosen: `found[found.scores > 0.5]`, `found[found.names == "skirt"]`.
    """

    boxes: npt.NDArray[np.float32]
    """(n, 4): left, top, right, bottom in pixels of the source image."""
    scores: npt.NDArray[np.float32]
    """(n,): 0 to 1."""
    class_ids: npt.NDArray[np.int32]
    """(n,): index into the model's class names."""
    names: npt.NDArray[np.str_]
    """(n,): name of the class of each detection."""
    image_size: tuple[int, int]
    """Width and height of the source image, after its EXIF orientation was applied."""
    model: str = ""
    version: str = ""
    """The version that answered."""
    timings: Timings = NOT_TOLD
    frame_index: int | None = None
    """Position of the image in its stream, counted from 0; None outside streams."""
    origin: str = ""
    """Where the image comes from, for people: the path of the file or video, the address of the camera."""
    timestamp_s: float | None = None
    """In a recording, seconds from its beginning; of a live source, seconds since the epoch; None of a still image."""
    image: ImageSource | None = None
    """What was detected on, as it was given; kept alive with the result."""
    request_id: str = ""
    """How the request is called in the server's logs and traces."""

    def __post_init__(self) -> None:
        n = len(self.scores)
        shapes = (self.boxes.shape, self.scores.shape, self.class_ids.shape, self.names.shape)
        if shapes != ((n, 4), (n,), (n,), (n,)):
            raise ValueError(
                f"detections disagree in length: boxes {shapes[0]}, scores {shapes[1]}, "
                f"class_ids {shapes[2]}, names {shapes[3]}"
            )

    @classmethod
    def empty(cls, image_size: tuple[int, int] = (0, 0)) -> Self:
        """No detections on an image of (width, height)."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            class_ids=np.zeros(0, np.int32),
            names=np.zeros(0, np.str_),
            image_size=image_size,
        )

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        columns = zip(
            self.boxes.tolist(), self.scores.tolist(), self.class_ids.tolist(), self.names.tolist(), strict=True
        )
        for (left, top, right, bottom), score, class_id, name in columns:
            yield Detection((left, top, right, bottom), score, class_id, name)

    @overload
    def __getitem__(self, selection: int) -> Detection: ...

    @overload
    def __getitem__(self, selection: Selection) -> Detections: ...

    def __getitem__(self, selection: int | Selection) -> Detection | Detections:
        if isinstance(selection, int | np.integer):
            left, top, right, bottom = self.boxes[selection].tolist()
            return Detection(
                box=(left, top, right, bottom),
                score=float(self.scores[selection]),
                class_id=int(self.class_ids[selection]),
                name=str(self.names[selection]),
            )
        index: Any = selection if isinstance(selection, slice) or len(selection) else np.zeros(0, np.intp)
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            class_ids=self.class_ids[index],
            names=self.names[index],
        )

    def __repr__(self) -> str:
        width, height = self.image_size
        shown = ", ".join(f"{name} {score:.2f}" for name, score in zip(self.names[:5], self.scores[:5], strict=True))
        if len(self) > 5:
            shown += f", … {len(self) - 5} more"
        origin = f" by {self.model}/{self.version}" if self.model else ""
        return f"<Detections{origin} on {width}x{height}: {len(self)} [{shown}]>"

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a detection, in types that JSON knows."""
        return [detection.to_dict() for detection in self]

    def to_dict(self) -> dict[str, Any]:
        """The whole result in types that JSON knows."""
        width, height = self.image_size
        return {
            "model": self.model,
            "version": self.version,
            "width": width,
            "height": height,
            "detections": self.to_dicts(),
            "server_ms": round(self.timings.total_ms, 3),
        }

    def to_json(self) -> str:
        """The whole result as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def draw(self, image: ImageSource, *, channels: Channels = "RGB") -> Picture:
        """A copy of the image with boxes, names and scores on it.

        Args:
            image: The image that was detected on, in any form that `Detector.detect` takes. Needs Pillow.
            channels: Order of the last axis if `image` is an array.

        Raises:
            MissingExtra: Pillow is not installed.
            InvalidRequest: The image cannot be opened, or has another size than the one detected on.
        """
        from pasarela_client.draw import draw

        return draw(image, self, channels=channels)


@dataclass(frozen=True, slots=True)
class FrameError:
    """Stands in a stream where the detections of a frame would stand that could not be answered."""

    frame_index: int
    """Position of the frame in the stream, counted from 0."""
    error: PasarelaError
    origin: str = ""
    """As in `Detections`."""
    timestamp_s: float | None = None
    image: ImageSource | None = None
