"""A process that runs one variant without a server: `python -m loadtest.benchmark.in_process FOLDER IMAGE…`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from loadtest.benchmark.child import serve
from loadtest.benchmark.closed_loop import latencies_ms, rate
from loadtest.benchmark.spread import percentile
from loadtest.benchmark.variant import Variant


def main(arguments: list[str]) -> int:
    """Loads, then obeys."""
    folder, *paths = arguments
    images = [Path(path).read_bytes() for path in paths]
    cv2.setNumThreads(1)  # as the server does
    variant: Variant | None = None

    def loaded() -> Variant:
        nonlocal variant
        if variant is None:
            variant = Variant.load(Path(folder))
            gc.collect()
            gc.freeze()  # as the server does
        return variant

    def describe() -> Mapping[str, Any]:
        detector = loaded().detector
        tensor = next(one for one in loaded().backend.spec.inputs if one.name == detector.input_name)
        outputs = loaded().sessions[0].infer({tensor.name: _zeros(loaded())})
        return {
            "backend": loaded().kind,
            "description": loaded().backend.description,
            "artefact": str(loaded().artefact),
            "input_name": tensor.name,
            "image_size": detector.image_size,
            "output_bytes": sum(array.nbytes for array in outputs.values()),
            "output_names": list(outputs),
        }

    def network(seconds: float) -> Mapping[str, Any]:
        return {"per_second": rate([loaded().network_step(session) for session in loaded().sessions], seconds)}

    def pipeline(seconds: float) -> Mapping[str, Any]:
        steps = [loaded().pipeline_step(session, images, first) for first, session in enumerate(loaded().sessions)]
        return {"per_second": rate(steps, seconds)}

    def alone(seconds: float) -> Mapping[str, Any]:
        taken = latencies_ms(loaded().pipeline_step(loaded().sessions[0], images, 0), seconds)
        return {"p50_ms": percentile(taken, 0.5), "p99_ms": percentile(taken, 0.99)}

    return serve({"describe": describe, "network": network, "pipeline": pipeline, "alone": alone})


def _zeros(variant: Variant) -> Any:
    import numpy as np

    height, width = variant.detector.image_size
    return np.zeros((variant.detector.rows, 3, height, width), variant.detector.datatype.numpy)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
