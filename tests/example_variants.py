"""A comparison of variants that was never made."""

from __future__ import annotations

from typing import Any

from loadtest.variants.results import Comparison, Round, VariantResult
from tests.example_run import CONDITIONS


def a_round(rate: float, scale: float = 1.0, **changes: Any) -> Round:
    """One round of a variant that does so many images a second."""
    told = {
        "ready_s": 2.0 * scale,
        "memory_ready_mb": 180.0 * scale,
        "memory_loaded_mb": 210.0 * scale,
        "alone_p50_ms": 1500 / rate,
        "alone_p99_ms": 2000 / rate,
        "saturated_per_second": rate,
        "saturated_p50_ms": 16_000 / rate,
        "saturated_p99_ms": 20_000 / rate,
        "client_cores": 0.1,
    }
    return Round(**{**told, **changes})


def variant(
    name: str, *rates: float, scale: float = 1.0, accuracy: float | None = None, **changes: Any
) -> VariantResult:
    """A variant with a round for each rate."""
    return VariantResult(
        name,
        "openvino",
        first_ready_s=5.0 if rates else None,
        rounds=[a_round(rate, scale) for rate in rates],
        map50_95=accuracy,
        map50=accuracy,
        **changes,
    )


def comparison(*variants: VariantResult, **changes: Any) -> Comparison:
    """All variants that the project ships, and one that does not run."""
    shipped = (
        variant("garments_int8", 43.0, 44.1, 42.7, scale=1.1, accuracy=0.8753, description="OpenVINO, CPU, int8"),
        variant("garments_onnx", 17.1, 16.8, 17.4, scale=0.7, accuracy=0.8773, description="ONNX Runtime, CPU, FP32"),
        variant(
            "garments_openvino", 38.2, 37.5, 38.9, accuracy=0.8778, serves=("garments",),
            description="OpenVINO, CPU, bf16, 2 x 1 threads",
        ),
        variant("garments_pytorch", problem="PyTorch is not installed: pip install 'pasarela-server[pytorch]'"),
    )  # fmt: skip
    told: dict[str, Any] = {
        "repository": "model_repository",
        "clients": 16,
        "seconds": 4.0,
        "wanted_rounds": 3,
        "judged_images": 100,
        "judged_on": "100 images with 152 objects",
        "started_at": "2026-11-26T05:00:00+00:00",
        "conditions": CONDITIONS,
        "complete": True,
        **changes,
    }
    return Comparison(variants=list(variants or shipped), **told)
