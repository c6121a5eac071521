"""The result of a detector on one image: parallel arrays, best score first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes, scores and classes of the objects found in one image.

    All arrays have the same length n and are sorted by falling score.
    """

    boxes: npt.NDArray[np.float32]
    """(n, 4): left, top, right, bottom in pixels of the source image, clipped to it."""
    scores: npt.NDArray[np.float32]
    """(n,): 0 to 1."""
    class_ids: npt.NDArray[np.int32]
    """(n,): index into the model's class names."""

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.class_ids.shape != (n,):
            raise ValueError(
                f"detections disagree in length: boxes {self.boxes.shape}, scores {self.scores.shape}, "
                f"class_ids {self.class_ids.shape}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
