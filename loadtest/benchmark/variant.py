"""One raw model of the repository, loaded in this process as the server loads it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtest.benchmark.closed_loop import rate
from pasarela_server.backends.base import Backend, BackendOptions, Session
from pasarela_server.backends.loaders import load_backend
from pasarela_server.detection.image import decode_image
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_server.errors import ServingError


@dataclass(frozen=True, slots=True)
class Variant:
    """A raw model with the detector around it; `cores` sessions of one thread each, as the server chooses on a CPU."""

    name: str
    artefact: Path
    backend: Backend
    detector: YoloDetector
    cores: int

    @classmethod
    def load(cls, folder: Path, cores: int) -> Variant | None:
        """Loads the newest version in a model's folder; None if it is no raw detector that can run here."""
        kinds = {"model.xml": "openvino", "model.onnx": "onnxruntime", "model.pt": "pytorch"}
        versions = sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
        found = [
            (versions[-1] / file, kind) for file, kind in kinds.items() if versions and (versions[-1] / file).exists()
        ]
        if not found:
            return None
        artefact, kind = found[0]
        try:
            backend = load_backend(kind, artefact, BackendOptions(instances=cores, threads=1))
        except ServingError as error:
            print(f"{folder.name} is left out: {error}", file=sys.stderr)
            return None
        detector = YoloDetector.from_spec(backend.spec)
        return None if detector is None else cls(folder.name, artefact, backend, detector, cores)

    def engine_rate(self, seconds: float) -> float:
        """Images per second of the network alone, on pixels that are ready."""
        height, width = self.detector.image_size
        pixels = np.full((1, 3, height, width), 0.5, np.float32)

        def step(session: Session) -> Callable[[], None]:
            return lambda: void(session.infer({self.detector.input_name: pixels}))

        return rate([step(self.backend.session()) for _ in range(self.cores)], seconds)

    def pipeline_rate(self, images: list[bytes], seconds: float) -> float:
        """Images per second from encoded image to detections in this process: all that serving does but gRPC."""

        def step(session: Session, first: int) -> Callable[[], None]:
            position = first

            def one() -> None:
                nonlocal position
                position += 1
                pixels, letterbox = self.detector.preprocess(decode_image(images[position % len(images)]))
                outputs = session.infer({self.detector.input_name: pixels})
                output = outputs[self.detector.output_name][0]
                void(self.detector.postprocess(output, letterbox, DetectOptions()))

            return one

        return rate([step(self.backend.session(), core) for core in range(self.cores)], seconds)

    def benchmark_app_rate(self, seconds: float) -> float | None:
        """The figure of OpenVINO's own benchmark_app with its throughput hint; None for other backends."""
        tool = shutil.which("benchmark_app", path=str(Path(sys.executable).parent))
        if tool is None or self.artefact.suffix != ".xml":
            return None
        height, width = self.detector.image_size
        command = [tool, "-m", str(self.artefact), "-d", "CPU", "-hint", "throughput"]
        command += ["-t", str(max(1, round(seconds))), "-shape", f"[1,3,{height},{width}]"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"Throughput:\s*([\d.]+)", printed)
        return float(found.group(1)) if found else None


def void(_: object) -> None:
    """Drops a result."""
