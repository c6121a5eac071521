"""The INT8 variant: the OpenVINO model quantised by NNCF, within a budget of accuracy."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.tensor import Array
from pasarela_training.config import EvaluateSection
from pasarela_training.config.export import Int8Section
from pasarela_training.evaluate.measure import run_variant
from pasarela_training.evaluate.scores import coco_scores
from pasarela_training.export.formats import export_float_openvino
from pasarela_training.export.images import prepared
from pasarela_training.export.layers import decoding_operations, disturbance, unquantised
from pasarela_training.framework import available_cores, output_to
from pasarela_training.progress import counting_bar
from pasarela_training.variants import VARIANTS, opened

RANKED_ON = 4
"""Images on which layers are ranked."""
FIRST_REVERTED = 3
"""So many layers go back in the first round; each further round doubles them."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """What became of quantisation."""

    map_drop: float
    """mAP50-95 lost against the OpenVINO variant, on val; negative if it gained."""
    reverted: list[str]
    """Layers that went back to floating point to hold the budget, by name."""
    ignored: list[str]
    """Layers that were never to be quantised."""


def export_int8(
    weights: Path,
    imgsz: int,
    section: Int8Section,
    evaluate: EvaluateSection,
    *,
    calibration: Sequence[Path],
    image_root: Path,
    val: Path,
    scratch: Path,
    log: Path,
    output: Path,
) -> Quantised:
    """Quantises the model; where it loses too much on val, puts the worst layers back until it does not.

    Args:
        weights: A checkpoint of Ultralytics.
        imgsz: Side of the input in pixels.
        section: The budget.
        evaluate: How mAP is measured.
        calibration: Images that ranges of activations are measured on; of the training split.
        image_root: What file names in `val` are relative to.
        val: COCO document of the val split.
        scratch: An empty folder for what lies about meanwhile.
        log: Receives what the frameworks say.
        output: Folder that receives the variant's files.

    Returns:
        What was measured; its drop exceeds the budget if `max_reverted` layers did not suffice.
    """
    import openvino

    original_folder = scratch / "float"
    with output_to(log):
        export_float_openvino(weights, imgsz, scratch, original_folder)
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(original_folder / "metadata.yaml", output / "metadata.yaml")
    # What it is measured against has FP16 weights, as the OpenVINO variant has.
    compressed = scratch / "compressed"
    compressed.mkdir()
    shutil.copyfile(original_folder / "metadata.yaml", compressed / "metadata.yaml")
    original = openvino.Core().read_model(original_folder / "model.xml")
    openvino.save_model(original, compressed / "model.xml", compress_to_fp16=True)
    expected = _map(compressed, image_root, val, evaluate, "int8: OpenVINO on val")

    with opened(VARIANTS["openvino"], original_folder, 1) as backend:
        detector = YoloDetector.from_spec(backend.spec)
    assert detector is not None, "a detector was exported"
    # Static while it is quantised: NNCF runs the model (see `backends.openvino_rows` for what could happen).
    original.reshape([1, 3, imgsz, imgsz])
    decoding = decoding_operations(original)
    ignored: list[str] = []
    ranking: list[str] = []
    count = 0
    while True:
        reverted = ranking[:count]
        label = f"int8: calibration{f', {count} layers in floating point' if count else ''}"
        model = _quantise(original, [*decoding, *reverted], calibration, detector, log, label)
        left = unquantised(model)
        ignored = left if count == 0 else ignored
        _save(model.clone(), imgsz, output)
        drop = expected - _map(output, image_root, val, evaluate, "int8: INT8 on val")
        holds = drop <= section.max_drop
        if count == 0 and not holds:
            arrays = [prepared(path, detector)[0] for path in calibration[:RANKED_ON]]
            with counting_bar("int8: ranking layers") as show:
                ranking = disturbance(original, model, arrays, show)
        limit = min(section.max_reverted, len(ranking))
        if holds or count >= limit:
            return Quantised(drop, [name for name in left if name not in ignored], ignored)
        count = min(2 * count or FIRST_REVERTED, limit)


def _quantise(
    model: Any, ignored: list[str], images: Sequence[Path], detector: YoloDetector, log: Path, label: str
) -> Any:
    with counting_bar(label) as show, output_to(log):
        import nncf  # type: ignore[import-untyped]

        def array(path: Path) -> Array:
            return prepared(path, detector)[0]

        with _nncf_says_to(log):
            return nncf.quantize(
                model.clone(),
                nncf.Dataset(_Counted(images, show), array),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(images),
                ignored_scope=nncf.IgnoredScope(names=ignored, validate=False),
            )


class _Counted:
    """Images that tell how many of them were taken."""

    def __init__(self, images: Sequence[Path], show: Callable[[int, int], None]) -> None:
        self._images = images
        self._show = show

    def __iter__(self) -> Iterator[Path]:
        for number, image in enumerate(self._images, start=1):
            yield image
            self._show(number, len(self._images))

    def __len__(self) -> int:
        return len(self._images)


@contextlib.contextmanager
def _nncf_says_to(log: Path) -> Iterator[None]:
    """Sends NNCF's log to a file; afterwards it is silent."""
    logger = logging.getLogger("nncf")
    with log.open("a", encoding="utf-8") as file:
        logger.handlers[:] = [logging.StreamHandler(file)]
        try:
            yield
        finally:
            logger.handlers[:] = [logging.NullHandler()]


def _save(model: Any, imgsz: int, output: Path) -> None:
    import openvino

    model.reshape([-1, 3, imgsz, imgsz])
    openvino.save_model(model, output / "model.xml", compress_to_fp16=True)


def _map(folder: Path, image_root: Path, val: Path, section: EvaluateSection, label: str) -> float:
    spec = VARIANTS["int8"]
    with opened(spec, folder, section.threads or available_cores()) as backend:
        run = run_variant(backend, image_root, val, section, label)
    return coco_scores(val, run.results, section.max_detections).map50_95
