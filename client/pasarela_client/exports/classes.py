"""The names of a model's classes, as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping

from pasarela_client.detections import Detections


class ClassNames:
    """Names by class id: those given, and those that were found."""

    def __init__(self, names: Mapping[int, str] | None = None) -> None:
        self.by_id: dict[int, str] = dict(names or {})

    def note(self, found: Detections) -> None:
        """Adds the classes of these detections; names that were known stay."""
        for class_id, name in zip(found.class_ids.tolist(), found.names.tolist(), strict=True):
            self.by_id.setdefault(class_id, name)
