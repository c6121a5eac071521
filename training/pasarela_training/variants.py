"""The variants of a model: which framework runs each, and what its files are called in the repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pasarela_training.config import PublishSection, Variant

if TYPE_CHECKING:
    from pasarela_server.backends.base import Backend

INPUT_NAME = "images"
OUTPUT_NAME = "output0"


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """How one variant is served."""

    name: Variant
    backend: str
    """The backend's name in config.pbtxt."""
    artefact: str
    """The file that the backend opens."""
    files: tuple[str, ...]
    """All files of a version."""
    title: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The `parameters` of config.pbtxt: what is measured is what is served."""


def variant_specs(section: PublishSection) -> dict[Variant, VariantSpec]:
    """All variants as a configuration has them served; the precision is that of `openvino`, not of `int8`."""
    precision = section.openvino_precision
    parameters = {} if precision == "default" else {"precision": precision}
    return VARIANTS | {"openvino": replace(VARIANTS["openvino"], parameters=parameters)}


VARIANTS: dict[Variant, VariantSpec] = {
    "pytorch": VariantSpec("pytorch", "pytorch", "model.pt", ("model.pt",), "PyTorch (TorchScript)"),
    "pt2": VariantSpec("pt2", "pytorch", "model.pt2", ("model.pt2",), "PyTorch (torch.export)"),
    "onnx": VariantSpec("onnx", "onnxruntime", "model.onnx", ("model.onnx",), "ONNX"),
    "openvino": VariantSpec(
        "openvino",
        "openvino",
        "model.xml",
        ("model.xml", "model.bin", "metadata.yaml"),
        "OpenVINO (FP16 weights)",
    ),
    "int8": VariantSpec(
        "int8",
        "openvino",
        "model.xml",
        ("model.xml", "model.bin", "metadata.yaml"),
        "OpenVINO INT8 (NNCF)",
    ),
}


@contextmanager
def opened(variant: VariantSpec, folder: Path, threads: int, instances: int = 1) -> Iterator[Backend]:
    """Loads a variant with the server's own backend.

    Args:
        variant: Which one.
        folder: Where its files lie.
        threads: Cores that an inference may use.
        instances: Inferences that may run side by side, each with its own session.

    Raises:
        ServingError: The backend is not installed, or cannot load the artefact.
    """
    from pasarela_server.backends import load_backend
    from pasarela_server.backends.base import BackendOptions

    options = BackendOptions(
        instances=instances,
        threads=threads,
        parameters=variant.parameters,
        input_names=(INPUT_NAME,),
        output_names=(OUTPUT_NAME,),
    )
    backend = load_backend(variant.backend, folder / variant.artefact, options)
    try:
        yield backend
    finally:
        backend.close()
