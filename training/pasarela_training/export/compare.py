"""Checking one variant before it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pasarela_server.backends.base import Backend
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import ServingError
from pasarela_training.config import Variant
from pasarela_training.errors import TrainingError
from pasarela_training.export.check import BatchDifference, VariantCheck, check_variant
from pasarela_training.export.images import chosen_images, prepared
from pasarela_training.export.int8 import Quantised
from pasarela_training.export.metadata import ModelFacts, model_facts
from pasarela_training.export.parity import (
    TOLERANCES,
    Inputs,
    Matching,
    Tolerance,
    detection_matching,
    eager_network,
    head_difference,
    served_network,
)
from pasarela_training.framework import output_to
from pasarela_training.progress import progress
from pasarela_training.variants import VariantSpec, opened

CHECKED_BATCH = 3


class Checker:
    """Compares variants of one checkpoint with it in PyTorch, on images of the val split chosen by seed."""

    def __init__(
        self,
        weights: Path,
        imgsz: int,
        val: Path,
        image_root: Path,
        *,
        count: int,
        seed: int,
        threads: int,
        log: Path,
        specs: Mapping[Variant, VariantSpec],
    ) -> None:
        self._weights = weights
        self._imgsz = imgsz
        self._images = chosen_images(val, image_root, count, seed)
        self._threads = threads
        self._log = log
        self._specs = specs
        self._inputs: Inputs | None = None

    def check(self, variant: Variant, folder: Path) -> tuple[VariantCheck, ModelFacts]:
        """Checks one variant. What differs too much is recorded; what cannot be served at all is raised.

        Raises:
            TrainingError: It cannot be loaded, has no metadata, or takes no batch.
        """
        spec = self._specs[variant]
        try:
            with opened(spec, folder, self._threads) as backend:
                batch = check_variant(backend, self._imgsz, CHECKED_BATCH)
                checked = self._compare(variant, backend, batch)
                facts = model_facts(backend.spec.metadata)
            if variant == "openvino" and checked.precision != "f32":
                checked = self._with_conversion(checked, replace(spec, parameters={"precision": "f32"}), folder)
        except ServingError as error:
            raise TrainingError(f"export: {variant} cannot be loaded or run as the server would: {error}") from error
        return checked, facts

    def _compare(self, variant: Variant, backend: Backend, batch: BatchDifference) -> VariantCheck:
        detector = YoloDetector.from_spec(backend.spec)
        if detector is None:
            raise TrainingError(f"export: {variant} is no detector that the server recognises")
        inputs = self._prepared(detector)
        precision = _precision(backend.description)
        tolerance = TOLERANCES[_kind(variant, precision)]
        network = served_network(backend)
        head = None if tolerance.head_box_px is None else head_difference(network, inputs)
        matching = detection_matching(network, detector, inputs, tolerance)
        # The raw head shows what the conversion did; in bf16 it shows the arithmetic, which users meet as detections.
        judged = None if precision == "bf16" else head
        reasons = [*_head_reasons(judged, tolerance, precision), *_matching_reasons(matching, tolerance)]
        return VariantCheck(
            passed=not reasons,
            reasons=reasons,
            precision=precision,
            batch_box_px=batch.box_px,
            batch_score=batch.score,
            head_box_px=None if head is None else head.box_px,
            head_score=None if head is None else head.score,
            matched=matching.matched,
            mean_iou=matching.mean_iou,
            score_difference=matching.score_difference,
        )

    def _with_conversion(self, checked: VariantCheck, spec: VariantSpec, folder: Path) -> VariantCheck:
        """Adds what is wrong with the conversion itself, whatever the CPU computes in."""
        with opened(spec, folder, self._threads) as backend:
            detector = YoloDetector.from_spec(backend.spec)
            assert detector is not None, "it was recognised in its own precision"
            head = head_difference(served_network(backend), self._prepared(detector))
        reasons = [*checked.reasons, *_head_reasons(head, TOLERANCES["fp16"], "f32")]
        return replace(checked, passed=not reasons, reasons=reasons)

    def _prepared(self, detector: YoloDetector) -> Inputs:
        if self._inputs is None:
            with output_to(self._log):
                network = eager_network(self._weights)
            pairs = [prepared(path, detector) for path in self._images]
            answers = [network(array)[0] for array, _ in progress(pairs, "export: PyTorch's answers")]
            self._inputs = Inputs([array for array, _ in pairs], [letterbox for _, letterbox in pairs], answers)
        return self._inputs


def with_quantisation(checked: VariantCheck, quantised: Quantised, max_drop: float) -> VariantCheck:
    """Adds what became of quantisation, and whether its budget held."""
    reasons = list(checked.reasons)
    if quantised.map_drop > max_drop:
        reasons.append(
            f"mAP50-95 on val is {quantised.map_drop:.4f} below OpenVINO's (allowed {max_drop}) "
            f"with {len(quantised.reverted)} layers back in floating point"
        )
    return replace(
        checked,
        passed=not reasons,
        reasons=reasons,
        reverted_layers=quantised.reverted,
        ignored_layers=quantised.ignored,
        map_drop=quantised.map_drop,
    )


def _precision(description: str) -> str:
    """The precision out of a backend's description: framework, device, precision, threads."""
    parts = description.split(", ")
    return parts[2] if len(parts) > 2 else description


def _kind(variant: Variant, precision: str) -> str:
    if variant == "int8":
        return "int8"
    return "fp32" if variant != "openvino" and precision.lower() in ("fp32", "f32") else "fp16"


def _head_reasons(head: BatchDifference | None, tolerance: Tolerance, precision: str) -> list[str]:
    if head is None or tolerance.head_box_px is None or tolerance.head_score is None:
        return []
    reasons = []
    if not head.box_px <= tolerance.head_box_px:
        reasons.append(
            f"boxes of the raw head differ from PyTorch by up to {head.box_px:.3f} px in {precision} "
            f"(allowed {tolerance.head_box_px})"
        )
    if not head.score <= tolerance.head_score:
        reasons.append(
            f"scores of the raw head differ from PyTorch by up to {head.score:.5f} in {precision} "
            f"(allowed {tolerance.head_score})"
        )
    return reasons


def _matching_reasons(matching: Matching, tolerance: Tolerance) -> list[str]:
    if matching.matched >= tolerance.matched:
        return []
    return [
        f"only {matching.matched:.1%} of the detections match those of PyTorch (at least {tolerance.matched:.1%} must)"
    ]
