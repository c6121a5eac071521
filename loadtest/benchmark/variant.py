"""One raw model of a repository, loaded in this process as the server loads it by default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pasarela_server.backends.base import Backend, Session
from pasarela_server.backends.loaders import load_backend, loaders
from pasarela_server.config.cores import available_cores
from pasarela_server.config.plan import plan_load
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_server.repository.desired import desire
from pasarela_server.repository.files import list_files
from pasarela_server.repository.load import backend_options
from pasarela_server.repository.scan import scan

Step = Callable[[], None]


class NotMeasurable(Exception):
    """A model's folder holds no detector that can be loaded; the message says why."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A raw model, the detector around it, and as many sessions as the server would have."""

    name: str
    artefact: Path
    kind: str
    """The backend's name."""
    backend: Backend
    detector: YoloDetector
    sessions: tuple[Session, ...]

    @classmethod
    def load(cls, folder: Path) -> Variant:
        """Loads the newest version in a model's folder by the server's own plan.

        Raises:
            NotMeasurable: It is no raw detector.
            ServingError: It cannot be loaded here.
        """
        found = {model.name: model for model in scan(folder.parent)}
        desired = desire(found[folder.name])
        if desired.is_detection:
            raise NotMeasurable(f"{folder.name} runs another model")
        version = desired.versions[max(desired.versions)]
        artefacts = {name: loader.artefact for name, loader in loaders().items()}
        plan = plan_load(
            desired.written, desired.name, list_files(version), artefacts, available_cores(), desired.source
        )
        backend = load_backend(plan.backend, version / plan.artefact, backend_options(plan, desired.written))
        detector = YoloDetector.from_spec(backend.spec)
        if detector is None:
            raise NotMeasurable(f"{folder.name} is no detector")
        sessions = tuple(backend.session() for _ in range(plan.instance_count))
        return cls(folder.name, version / plan.artefact, plan.backend, backend, detector, sessions)

    def network_step(self, session: Session) -> Step:
        """One inference on a tensor that is ready: the server's backend without the server."""
        height, width = self.detector.image_size
        tensor = np.full((self.detector.rows, 3, height, width), 0.5, self.detector.datatype.numpy)

        def step() -> None:
            session.infer({self.detector.input_name: tensor})

        return step

    def pipeline_step(self, session: Session, images: list[bytes], first: int) -> Step:
        """One image, from its encoded bytes to its detections: all that serving does but gRPC."""
        position = first

        def step() -> None:
            nonlocal position
            position += 1
            decoded = self.detector.decode(images[position % len(images)])
            pixels, letterbox = self.detector.preprocess(decoded.pixels, decoded.size)
            output = session.infer({self.detector.input_name: pixels})[self.detector.output_name][0]
            self.detector.postprocess(output, letterbox, DetectOptions())

        return step
