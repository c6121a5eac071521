"""What stands in a stream where a frame was not answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self

from pasarela_client import json_form
from pasarela_client.errors import PasarelaError
from pasarela_client.places import name_place

if TYPE_CHECKING:
    from pasarela_client.images import Channels, ImageSource


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameError:
    """Stands in a stream where the detections of a frame would stand that could not be answered.

    It is false, as a result that found nothing is: `if result:` means that something was found. `result.ok` tells an
    error from a result, and so does `isinstance(result, FrameError)`. Two are equal if the same happened to the same.
    """

    ok: ClassVar[Literal[False]] = False
    """Tells an error from `Detections`."""

    frame_index: int
    """Position of the frame in the stream, counted from 0."""
    error: PasarelaError
    origin: str = ""
    """As in `Detections`."""
    timestamp_s: float | None = None
    image: ImageSource | None = None
    channels: Channels = "RGB"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        place = name_place(self.origin, self.frame_index, self.timestamp_s)
        return f"<FrameError of {place}: {type(self.error).__name__}: {self.error}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameError):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def unwrap(self) -> NoReturn:
        """Raises the error; `Detections.unwrap` returns the result.

        Raises:
            PasarelaError: Always.
        """
        raise self.error

    def to_dict(self) -> dict[str, Any]:
        """Where and what, without the image, in types that JSON knows; `from_dict` reads it."""
        return json_form.of_error(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote; equal to it.

        Raises:
            ValueError: It did not write this.
        """
        return cls(**json_form.read_error(content))

    def _identity(self) -> tuple[object, ...]:
        error = self.error
        told = (type(error), error.message, error.model, error.status)
        return (self.frame_index, self.origin, self.timestamp_s, *told)
