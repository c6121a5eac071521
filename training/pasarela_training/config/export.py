"""The section about exported variants."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pasarela_training.config.section import Section

Variant = Literal["pytorch", "pt2", "onnx", "openvino", "int8"]


class Int8Section(Section):
    """How the INT8 variant (OpenVINO, quantised by NNCF) is made."""

    calibration_images: int = Field(default=300, ge=1)
    """Images of the training split that the ranges of activations are measured on."""
    max_drop: float = Field(default=0.01, ge=0, le=1)
    """mAP50-95 that it may lose on val against the OpenVINO variant; beyond, layers go back to floating point."""
    max_reverted: int = Field(default=20, ge=0)
    """At most so many layers go back; if that does not suffice, the variant is refused."""


class ExportSection(Section):
    """Which variants are made of the trained model."""

    variants: tuple[Variant, ...] = Field(default=("pytorch", "onnx", "openvino"), min_length=1)
    """Of `pytorch` (TorchScript), `pt2` (torch.export), `onnx`, `openvino` (FP16 weights) and `int8` (quantised)."""
    dynamic_size: bool = False
    """Whether height and width may vary, too. The batch always does. PyTorch's variants and INT8 keep their size."""
    checked_images: int = Field(default=16, ge=2)
    """Images of the val split on which every export is compared with the checkpoint in PyTorch."""
    int8: Int8Section = Int8Section()

    @field_validator("variants")
    @classmethod
    def _each_once(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        if len(set(variants)) != len(variants):
            raise ValueError("names a variant twice")
        return variants
