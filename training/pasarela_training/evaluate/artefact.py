"""Measuring an exported file that no run of this pipeline made."""

from __future__ import annotations

from pathlib import Path

from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.measured import Measured
from pasarela_training.evaluate.stage import measure
from pasarela_training.variants import VariantSpec

_KINDS = {
    ".onnx": ("onnx", "onnxruntime", "ONNX"),
    ".xml": ("openvino", "openvino", "OpenVINO"),
    ".pt": ("pytorch", "pytorch", "PyTorch (TorchScript)"),
    ".pt2": ("pt2", "pytorch", "PyTorch (torch.export)"),
    ".torchscript": ("pytorch", "pytorch", "PyTorch (TorchScript)"),
}


def evaluate_artefact(artefact: Path, image_root: Path, coco: Path, section: EvaluateSection) -> Measured:
    """Measures a file on the splits of this run, as the server would serve it.

    Args:
        artefact: An ONNX, OpenVINO or TorchScript file with Ultralytics' metadata.
        image_root: Folder that the documents' file names are relative to.
        coco: Output of the `coco` stage.
        section: How.

    Raises:
        TrainingError: It is not there, of no kind that is served, or no detector of the classes of the documents.
    """
    if not artefact.is_file():
        raise TrainingError(f"evaluate: there is no file {artefact}")
    kind = _KINDS.get(artefact.suffix)
    if kind is None:
        raise TrainingError(f"evaluate: {artefact} is none of {', '.join(_KINDS)}; export the model first")
    name, backend, title = kind
    spec = VariantSpec(name, backend, artefact.name, (artefact.name,), title)  # type: ignore[arg-type]
    return measure(spec, image_root, coco, artefact.parent, section)
