"""JPEGs decoded and laid onto canvases in batches, on a GPU by nvJPEG.

Nothing here knows CUDA: a lane does, and TorchCodec decodes on whatever device the lane works.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pasarela_server.backends.artefacts import import_framework, inferring
from pasarela_server.backends.cuda_lane import CudaLane
from pasarela_server.backends.pytorch_batches import Lane
from pasarela_server.backends.pytorch_network import lend
from pasarela_server.errors import InvalidModel

Canvas = npt.NDArray[np.uint8]
"""(h, w, 3), RGB."""
Decode = Callable[[Sequence[Any]], Sequence[Any]]
"""From files (n,) UINT8 on the host to pixels (3, h, w) UINT8, RGB, on the device; raises RuntimeError for all of them
if one cannot be decoded."""
EXTRA = "nvjpeg"


@dataclass(frozen=True, slots=True)
class Placement:
    """How a picture comes to lie on its canvas. Sizes and places are pixels of the canvas."""

    turn: int
    """How it is turned first: an EXIF orientation, 1 to 8."""
    height: int
    """What it is scaled to when it is turned."""
    width: int
    top: int
    left: int


class JpegBatches:
    """Decodes batches on one lane. Used by one thread at a time."""

    def __init__(self, torch: Any, decode: Decode, lane: Lane) -> None:
        self._torch = torch
        self._decode = decode
        self._lane = lane

    def lay(
        self,
        files: Sequence[bytes | memoryview],
        placements: Sequence[Placement],
        canvas: tuple[int, int],
        background: int,
    ) -> list[Canvas | None]:
        """Decodes JPEGs and lays each onto a canvas of its own, scaled bilinearly without averaging as OpenCV does it.

        Args:
            files: The JPEGs.
            placements: Of each, within the canvas.
            canvas: (height, width) of all canvases.
            background: The grey around the pictures.

        Returns:
            A canvas for each, which the caller owns; None for a file that could not be decoded.

        Raises:
            BackendFailure: The device failed.
            OutOfMemory: It has not enough memory.
        """
        torch, lane = self._torch, self._lane
        with inferring("PyTorch"), lane.working():
            pictures = self._pictures([lend(torch, np.frombuffer(file, np.uint8)) for file in files])
            found = [index for index, picture in enumerate(pictures) if picture is not None]
            shape = (len(found), *canvas, 3)
            canvases = lane.resident(shape, torch.uint8).fill_(background)
            for row, index in enumerate(found):
                self._draw(pictures[index], placements[index], canvases[row])
                pictures[index] = None  # of large pictures one at a time is in memory in its scaled form
            host = lane.host(shape, torch.uint8)
            host.copy_(canvases, non_blocking=True)
            lane.wait()
        laid: list[Canvas | None] = [None] * len(files)
        for index, array in zip(found, host.numpy(), strict=True):
            laid[index] = array
        return laid

    def _pictures(self, files: Sequence[Any]) -> list[Any]:
        with contextlib.suppress(RuntimeError):
            return list(self._decode(files))
        if len(files) == 1:
            return [None]
        return [picture for file in files for picture in self._pictures([file])]

    def _draw(self, picture: Any, placement: Placement, canvas: Any) -> None:
        height, width = placement.height, placement.width
        turned = _turn(picture, placement.turn)
        if turned.shape[1:] != (height, width):
            scale = self._torch.nn.functional.interpolate
            turned = scale(turned[None].float(), (height, width), mode="bilinear", align_corners=False)[0].round_()
        top, left = placement.top, placement.left
        canvas[top : top + height, left : left + width].copy_(turned.permute(1, 2, 0))


def open_jpeg_batches(device: int) -> JpegBatches:
    """Makes an NVIDIA GPU ready to decode.

    Args:
        device: Its CUDA index.

    Raises:
        BackendMissing: PyTorch or TorchCodec is not installed.
        InvalidModel: PyTorch sees no such device.
    """
    torch = import_framework("torch", EXTRA)
    decoders = import_framework("torchcodec.decoders", EXTRA)
    if not torch.cuda.is_available() or device >= torch.cuda.device_count():
        raise InvalidModel(f"PyTorch sees no CUDA device {device}")
    name = f"cuda:{device}"
    return JpegBatches(torch, decoder(decoders, name), CudaLane(torch, name))


def decoder(decoders: Any, device: str) -> Decode:
    """TorchCodec's decoder on a device; `decoders` is its module of that name."""

    def decode(files: Sequence[Any]) -> Sequence[Any]:
        pictures: Sequence[Any] = decoders.decode_jpeg(list(files), mode="RGB", device=device)
        return pictures

    return decode


def _turn(picture: Any, turn: int) -> Any:
    """A view of (3, h, w) the way it is meant to be seen, or a copy."""
    match turn:
        case 2:
            return picture.flip(-1)
        case 3:
            return picture.flip((-2, -1))
        case 4:
            return picture.flip(-2)
        case 5:
            return picture.transpose(-2, -1)
        case 6:
            return picture.transpose(-2, -1).flip(-1)
        case 7:
            return picture.transpose(-2, -1).flip((-2, -1))
        case 8:
            return picture.transpose(-2, -1).flip(-2)
        case _:
            return picture
