"""What is sent, and how its clients behave: the list `requests` of a scenario, told apart by the key `user`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from loadtest.scenario.values import SECTION, Duration

Weight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Timeout = Annotated[Duration, Field(gt=0, le=3600)]


@dataclass(frozen=True, kw_only=True, config=SECTION)
class Asking:
    """What all clients share."""

    model: Annotated[str, Field(min_length=1)] = "garments"
    """The model that is asked."""
    weight: Weight = 1.0
    """Its share among the entries of `requests`: of the users in a closed loop, of the requests in an open one."""
    timeout: Timeout = 30.0
    """The deadline of each call; for streams how long the last answers may take."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class Showing(Asking):
    """What clients share that send images."""

    images: str | None = None
    """A folder of images, relative to the working directory; left out: the project's samples."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class DetectRequests(Showing):
    """One image to `Detect`, one answer."""

    user: Literal["detect"]
    pause: Duration = 0.0
    """Between an answer and the next request of the same user, in a closed loop."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class RawRequests(Asking):
    """Tensors to `ModelInfer`, of the shape and type that the model says; for models that are no detectors, too."""

    user: Literal["raw"]
    rows: Annotated[int, Field(ge=1, le=1024)] = 1
    """Rows in each request, for models that batch."""
    sizes: dict[str, tuple[Annotated[int, Field(ge=1)], ...]] = Field(default_factory=dict)
    """Shapes by name of the input, without the rows, where the model leaves them open."""
    pause: Duration = 0.0
    """Between an answer and the next request of the same user, in a closed loop."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class StreamRequests(Showing):
    """Frames to `StreamDetect`."""

    user: Literal["stream"]
    fps: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Frames per second of each stream, sent whether or not earlier ones were answered; left out: a new frame follows
    each answer."""
    deadline: Timeout | None = None
    """A frame that is answered later than this after it was due is late."""
    tell_deadline: bool = False
    """Whether each frame tells the server its deadline, so that it need not work on what is late anyway."""
    window: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Frames under way in each stream. With `fps`, a frame that is due while so many are is left out, and counts as
    unsent."""
    frames: Annotated[int, Field(ge=1)] = 1000
    """A stream ends after so many, and its user begins another."""

    @model_validator(mode="after")
    def _deadline_to_tell(self) -> Self:
        if self.tell_deadline and self.deadline is None:
            raise ValueError("tell_deadline: there is no deadline to tell; give one")
        return self


@dataclass(frozen=True, kw_only=True, config=SECTION)
class SlowRequests(Showing):
    """Clients that send frames as fast as they may and read the answers slowly: what waits for them fills buffers."""

    user: Literal["slow"]
    read_pause: Annotated[Duration, Field(gt=0)] = 0.2
    """Between reading one answer and the next."""
    window: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Frames sent and not yet read, at most."""
    frames: Annotated[int, Field(ge=1)] = 1000
    """A stream ends after so many, and its user begins another."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class LeaverRequests(Showing):
    """Clients that go away in the middle. What they leave is no failure; what others notice of it would be."""

    user: Literal["leaver"]
    calls: Literal["detect", "stream"] = "detect"
    """What they leave: a call for one image, or a stream with frames under way."""
    leaves: Literal["cancel", "disconnect"] = "cancel"
    """`cancel`: the call is given up in good order. `disconnect`: the connection is dropped."""
    after: Annotated[Duration, Field(gt=0)] = 0.05
    """They stay so long at most, by chance less. Who is answered before has not left."""


Requests = DetectRequests | RawRequests | StreamRequests | SlowRequests | LeaverRequests
"""One of the kinds of requests."""
