"""The requests that a model is measured with: images for a detector, tensors for anything else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pasarela_server.config.warmup import WarmupData, WarmupInput, WarmupSample, read_warmup
from pasarela_server.detection.image import decode_image
from pasarela_server.errors import InvalidModel, InvalidRequest
from pasarela_server.repository.desired import DesiredModel
from pasarela_server.repository.raw import RawServable
from pasarela_server.repository.warmup import default_inputs, sample_inputs
from pasarela_server.request import InferRequest
from pasarela_server.tensor import Tensor
from pasarela_server.tuning.closed_loop import Send

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MOST_IMAGES = 64
_GENERATED = 4
_GENERATED_SIZE = (810, 1080)
_QUALITY = 90


def read_images(folder: Path) -> list[bytes]:
    """The first images of a folder, by name, as they are encoded.

    Raises:
        InvalidRequest: There is none, or one cannot be decoded.
        OSError: The folder or a file cannot be read.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)[:MOST_IMAGES]
    if not files:
        raise InvalidRequest(
            f"there is no image in {str(folder)!r}; expected files ending in {' '.join(IMAGE_SUFFIXES)}"
        )
    images = []
    for file in files:
        content = file.read_bytes()
        try:
            decode_image(content)
        except InvalidRequest as error:
            raise InvalidRequest(f"{file}: {error}") from error
        images.append(content)
    return images


def generate_images() -> list[bytes]:
    """JPEGs of 1080x810 with areas, edges and grain, of about the size that a camera's have."""
    return [_generate(seed) for seed in range(_GENERATED)]


def send_images(servable: RawServable, images: Sequence[bytes]) -> Send:
    """Sends images in turns, and gets detections."""

    async def send(number: int) -> None:
        await servable.detect(images[number % len(images)])

    return send


def send_tensors(servable: RawServable, desired: DesiredModel) -> Send:
    """Sends tensors: the samples of `model_warmup` in turns, or else noise in the shape that the model says.

    Raises:
        InvalidModel: Nothing says which sizes are usual, or a sample cannot be read.
    """
    requests = _requests(servable, desired)

    async def send(number: int) -> None:
        await servable.infer(requests[number % len(requests)])

    return send


def _requests(servable: RawServable, desired: DesiredModel) -> list[InferRequest]:
    config = servable.config
    samples = read_warmup(desired.written, config.inputs, config.max_batch_size, desired.source)
    if not samples:
        size = None if servable.detector is None else servable.detector.image_size
        shapes = default_inputs(config.inputs, size, 1)
        if shapes is None:
            raise InvalidModel(
                f"model {config.name!r}: sizes vary and nothing says which are usual; write a model_warmup into "
                f"{desired.source}, and its samples will be sent"
            )
        given = tuple(
            WarmupInput(spec.name, spec.datatype, shapes[spec.name].shape, WarmupData.RANDOM) for spec in config.inputs
        )
        samples = (WarmupSample("noise", 1, given),)
    return [
        InferRequest(
            config.name,
            tuple(Tensor(spec.name, spec.datatype, arrays[spec.name]) for spec in config.inputs),
        )
        for arrays in (sample_inputs(sample, desired.folder) for sample in samples)
    ]


def _generate(seed: int) -> bytes:
    noise = np.random.default_rng(seed)
    height, width = _GENERATED_SIZE
    areas = cv2.resize(noise.integers(0, 256, (9, 12, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(24):
        left, top = int(noise.integers(0, width)), int(noise.integers(0, height))
        colour = tuple(int(value) for value in noise.integers(0, 256, 3))
        right, bottom = left + int(noise.integers(20, 300)), top + int(noise.integers(20, 300))
        cv2.rectangle(areas, (left, top), (right, bottom), colour, -1)
    grain = noise.normal(0, 5, areas.shape)
    pixels = np.clip(areas + grain, 0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()
