"""What a detector found on one image: parallel arrays, best score first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from pasarela_client import boxes as forms
from pasarela_client import json_form
from pasarela_client.errors import InvalidRequest
from pasarela_client.filtering import Classes, wanted
from pasarela_client.frame_error import FrameError
from pasarela_client.places import name_place
from pasarela_client.timings import NOT_TOLD, Timings

if TYPE_CHECKING:
    import pandas as pd
    import supervision
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
        """The detection in types that JSON knows."""
        score, *box = forms.shortest_floats(np.array((self.score, *self.box), np.float32))
        return {"name": self.name, "class_id": self.class_id, "score": score, "box": box}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Detections:
    """The objects found on one image, as arrays of one length n sorted by falling score.

    Iterating gives `Detection` objects, as does an integer index; a slice, a boolean mask or an array of indices
    gives the `Detections` chosen: `found[found.scores > 0.5]`, `found[:3]`. `filter` chooses by several conditions.

    The arrays cannot be written to; a selection may share them. Two results are equal if the same was found on the
    same: `image`, `timings` and `request_id` do not count. Without detections a result is false, like an empty list.
    """

    ok: ClassVar[Literal[True]] = True
    """Tells a result from a `FrameError`."""

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
    channels: Channels = "RGB"
    """Order of the last axis of `image` if that is an array."""

    def __post_init__(self) -> None:
        arrays = (
            np.asarray(self.boxes, np.float32),
            np.asarray(self.scores, np.float32),
            np.asarray(self.class_ids, np.int32),
            np.asarray(self.names, np.str_),
        )
        n = len(self.scores)
        shapes = ((0, 4) if arrays[0].size == 0 else arrays[0].shape, *(array.shape for array in arrays[1:]))
        if shapes != ((n, 4), (n,), (n,), (n,)):
            raise ValueError(
                f"detections disagree in length: boxes {shapes[0]}, scores {shapes[1]}, "
                f"class_ids {shapes[2]}, names {shapes[3]}"
            )
        for name, array, shape in zip(("boxes", "scores", "class_ids", "names"), arrays, shapes, strict=True):
            view = array.reshape(shape)
            view.flags.writeable = False
            object.__setattr__(self, name, view)

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

    def __contains__(self, sought: object) -> bool:
        """Whether something of this class was found, by its name or id: `"skirt" in found`; or this `Detection`."""
        if isinstance(sought, str):
            return bool((self.names == sought).any())
        if isinstance(sought, int | np.integer):
            return bool((self.class_ids == sought).any())
        return any(detection == sought for detection in self)

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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return self._identity() == other._identity() and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("boxes", "scores", "class_ids", "names")
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # Through the constructor, so that a copy's arrays cannot be written to either.
        values = (getattr(self, field.name) for field in fields(self))
        return type(self), tuple(bytes(value) if isinstance(value, memoryview) else value for value in values)

    def __repr__(self) -> str:
        width, height = self.image_size
        shown = ", ".join(f"{name} {score:.2f}" for name, score in zip(self.names[:5], self.scores[:5], strict=True))
        if len(self) > 5:
            shown += f", … {len(self) - 5} more"
        model = f" by {self.model}/{self.version}" if self.model else ""
        place = name_place(self.origin, self.frame_index, self.timestamp_s)
        where = f"{place}, {width}x{height}" if place else f"{width}x{height}"
        return f"<Detections{model} on {where}: {len(self)} [{shown}]>"

    def _repr_html_(self) -> str:
        from pasarela_client.notebook import to_html

        return to_html(self)

    @property
    def xywh(self) -> npt.NDArray[np.float32]:
        """(n, 4): left, top, width, height in pixels, as COCO writes boxes."""
        return forms.to_xywh(self.boxes)

    @property
    def cxcywh(self) -> npt.NDArray[np.float32]:
        """(n, 4): centre x, centre y, width, height in pixels, as YOLO has boxes."""
        return forms.to_cxcywh(self.boxes)

    @property
    def normalized(self) -> npt.NDArray[np.float32]:
        """(n, 4): left, top, right, bottom as fractions of the image's width and height, 0 to 1."""
        return forms.to_fractions(self.boxes, self.image_size)

    @property
    def areas(self) -> npt.NDArray[np.float32]:
        """(n,): square pixels of each box."""
        return forms.to_areas(self.boxes)

    @property
    def centers(self) -> npt.NDArray[np.float32]:
        """(n, 2): x and y of the middle of each box, in pixels."""
        centers: npt.NDArray[np.float32] = np.mean((self.boxes[:, :2], self.boxes[:, 2:]), axis=0)
        return centers

    def counts(self) -> dict[str, int]:
        """How many of each class were found, by name, the most frequent first, then by the alphabet."""
        names, counts = np.unique(self.names, return_counts=True)
        counted = zip(names.tolist(), counts.tolist(), strict=True)
        return dict(sorted(counted, key=lambda entry: (-entry[1], entry[0])))

    def filter(
        self,
        *,
        confidence: float | None = None,
        classes: Classes | None = None,
        exclude: Classes | None = None,
        min_area: float | None = None,
        max_area: float | None = None,
        region: tuple[float, float, float, float] | None = None,
        max_detections: int | None = None,
    ) -> Detections:
        """The detections that meet all conditions, in the same order. None leaves a condition out.

        Args:
            confidence: Lowest score, 0 to 1.
            classes: Only these, by name or id; an empty list leaves nothing.
            exclude: Not these, by name or id.
            min_area: Smallest box, in square pixels.
            max_area: Largest box, in square pixels.
            region: Left, top, right, bottom in pixels: the middle of a box must lie in it.
            max_detections: Of those left at most so many, best first.

        Raises:
            InvalidRequest: A condition that nothing can meet, or of the wrong type.
        """
        return self[
            wanted(
                self,
                confidence=confidence,
                classes=classes,
                exclude=exclude,
                min_area=min_area,
                max_area=max_area,
                region=region,
                max_detections=max_detections,
            )
        ]

    def unwrap(self) -> Self:
        """This result; a `FrameError` raises its error instead."""
        return self

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a detection, in types that JSON knows."""
        return json_form.of_each(self)

    def to_dict(self, *, timings: bool = False) -> dict[str, Any]:
        """The whole result, without the image, in types that JSON knows; `from_dict` reads it.

        Args:
            timings: Whether to add where the time went, too.
        """
        return json_form.of_result(self, timings=timings)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The result that `to_dict` wrote; equal to it.

        Raises:
            ValueError: It did not.
        """
        return cls(**json_form.read_result(content))

    def to_json(self, *, timings: bool = False) -> str:
        """The whole result as one line of JSON; `timings` as for `to_dict`."""
        return json.dumps(self.to_dict(timings=timings), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The result that `to_json` wrote.

        Raises:
            ValueError: It did not.
        """
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError(f"a result is a JSON object, not {type(content).__name__}")  # noqa: TRY004
        return cls.from_dict(content)

    def to_coco(self, image_id: int, *, categories: Mapping[str, int] | None = None) -> list[dict[str, Any]]:
        """The detections as COCO's result format has them, as `pycocotools.coco.COCO.loadRes` reads it.

        Args:
            image_id: The image's id in the annotations that they are to be compared with.
            categories: Ids of the classes there, by name; None takes the model's class ids.

        Raises:
            InvalidRequest: A class that `categories` lacks.
        """
        from pasarela_client.conversions import to_coco

        return to_coco(self, image_id, categories)

    def to_pandas(self) -> pd.DataFrame:
        """One row a detection: origin, frame_index, timestamp_s, name, class_id, score, left, top, right, bottom.

        Tables of several results have the same columns: `pandas.concat` puts them together.

        Raises:
            MissingExtra: pandas is not installed.
        """
        from pasarela_client.conversions import to_pandas

        return to_pandas(self)

    def to_supervision(self) -> supervision.Detections:
        """The detections for Roboflow's `supervision`: its annotators, trackers, zones and metrics.

        Raises:
            MissingExtra: supervision is not installed.
        """
        from pasarela_client.conversions import to_supervision

        return to_supervision(self)

    def draw(
        self,
        image: ImageSource | None = None,
        *,
        channels: Channels | None = None,
        labels: bool = True,
        scores: bool = True,
        line_width_px: int | None = None,
        font_size_px: int | None = None,
    ) -> Picture:
        """A copy of the image with boxes, names and scores on it. Needs Pillow.

        Args:
            image: The image that was detected on, in any form that `Detector.detect` takes; None takes `self.image`.
            channels: Order of the last axis if `image` is an array; None: RGB, or that of `self.image`.
            labels: Whether to write the names of the classes.
            scores: Whether to write the scores.
            line_width_px: Width of the boxes' lines; None: as it fits the image.
            font_size_px: Size of the letters; None: as it fits the image.

        Raises:
            MissingExtra: Pillow is not installed.
            InvalidRequest: There is no image, it cannot be opened, or has another size than the one detected on.
        """
        from pasarela_client.draw import Style, draw

        image, channels = self._what_to_draw_on(image, channels)
        style = Style(labels=labels, scores=scores, line_width_px=line_width_px, font_size_px=font_size_px)
        return draw(image, self, channels=channels, style=style)

    def save(
        self, path: str | Path, image: ImageSource | None = None, *, channels: Channels | None = None, **style: Any
    ) -> Path:
        """Draws, and writes the picture in the format of the file's suffix, in the place of an older one.

        Args:
            path: Where to; the file is there whole or not at all.
            image: As for `draw`.
            channels: As for `draw`.
            style: What else `draw` takes.

        Returns:
            The path.

        Raises:
            MissingExtra: Pillow is not installed.
            InvalidRequest: It cannot be drawn, or the suffix is of no format that can be written.
            ExportFailed: The file cannot be written.
        """
        from pasarela_client.draw import save_picture

        return save_picture(self.draw(image, channels=channels, **style), path)

    def crops(self, image: ImageSource | None = None, *, channels: Channels | None = None) -> list[Picture]:
        """What lies in each box, as pictures of their own, in the order of the detections. Needs Pillow.

        Args:
            image: As for `draw`.
            channels: As for `draw`.

        Raises:
            MissingExtra: Pillow is not installed.
            InvalidRequest: There is no image, it cannot be opened, or has another size than the one detected on.
        """
        from pasarela_client.draw import crop

        image, channels = self._what_to_draw_on(image, channels)
        return crop(image, self, channels=channels)

    def _what_to_draw_on(self, image: ImageSource | None, channels: Channels | None) -> tuple[ImageSource, Channels]:
        image = self.image if image is None else image
        if image is None:
            raise InvalidRequest("this result came without its image: say which, as in found.draw('street.jpg')")
        return image, channels or (self.channels if image is self.image else "RGB")

    def _identity(self) -> tuple[object, ...]:
        return (self.image_size, self.model, self.version, self.frame_index, self.origin, self.timestamp_s)


FrameResult: TypeAlias = Detections | FrameError
"""What a stream gives for each frame: what was found on it, or why nothing is known."""

__all__ = ["Detection", "Detections", "FrameError", "FrameResult"]
