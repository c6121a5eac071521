"""What a front must know of a model to detect with it; numbered by the back, so that both know when it has changed."""

from __future__ import annotations

import enum
import itertools
import json
import weakref
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar, get_type_hints

from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.repository.pipeline import DetectionPipeline, ImageLimits

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Facts:
    """How images for one version of a model are prepared, and its answers read."""

    number: int
    model: str
    version: int
    detector: YoloDetector
    defaults: DetectOptions
    limits: ImageLimits

    def to_text(self) -> str:
        """As it travels."""
        return json.dumps(asdict(self), default=_plain)

    @classmethod
    def from_text(cls, text: str) -> Facts:
        """As it has arrived."""
        said = json.loads(text)
        parts = {"detector": YoloDetector, "defaults": DetectOptions, "limits": ImageLimits}
        return cls(**said | {name: _build(kind, said[name]) for name, kind in parts.items()})


def _plain(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} cannot travel to a front")


def _build(kind: type[_T], said: dict[str, Any]) -> _T:
    """A frozen dataclass of numbers, texts, enums and tuples of them."""
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]
        value, hint = said[field.name], hints[field.name]
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            value = hint(value)
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


class FactsBook:
    """Numbers the facts of what is served. Used from the event loop only."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._known: weakref.WeakKeyDictionary[DetectionPipeline, Facts] = weakref.WeakKeyDictionary()

    def of(self, pipeline: DetectionPipeline, detector: YoloDetector) -> Facts:
        """The facts in force: the same until the version, or the raw model under it, is another.

        Args:
            pipeline: Of the servable that was asked for.
            detector: Of the raw model that it would run now.
        """
        known = self._known.get(pipeline)
        if known is None or known.detector is not detector:
            known = Facts(
                next(self._numbers), pipeline.model, pipeline.version, detector, pipeline.defaults, pipeline.limits
            )
            self._known[pipeline] = known
        return known
