"""Inputs for NVIDIA's clients, which share one kind of tensor; imported by the scripts beside it."""

import os
from pathlib import Path

import numpy as np
from tritonclient.grpc import InferenceServerException, InferInput, InferResult

SIDE = 320
"""Of the shipped models: with another repository these scripts need models of the same size."""


def pixels(rows: int = 1, grey: float = 0.5, side: int = SIDE) -> list[InferInput]:
    """Grey images for a raw model: its only input."""
    tensor = InferInput("images", [rows, 3, side, side], "FP32")
    tensor.set_data_from_numpy(np.full((rows, 3, side, side), grey, np.float32))
    return [tensor]


def encoded(image: str | os.PathLike[str]) -> list[InferInput]:
    """An image file for a detection model: its only input."""
    tensor = InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([Path(image).read_bytes()], dtype=object))
    return [tensor]


def summary(result: InferResult | None, error: InferenceServerException | None = None) -> dict[str, object]:
    """What can be told of an answer in JSON: whose it is, its outputs and one number of all pixels' worth."""
    if result is None:
        return {"status": error.status(), "message": error.message()}
    response = result.get_response()
    outputs = {output.name: result.as_numpy(output.name) for output in response.outputs}
    return {
        "id": response.id,
        "model": response.model_name,
        "version": response.model_version,
        "shapes": {name: list(output.shape) for name, output in outputs.items()},
        "sum": float(sum(output.sum() for output in outputs.values() if output.dtype == np.float32)),
        "final": response.parameters["triton_final_response"].bool_param,
        "says_final": "triton_final_response" in response.parameters,
    }
