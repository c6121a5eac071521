"""The stage that decodes JPEGs on a GPU, with the CPU in the GPU's place: the same code, and the same library.

As a program it is a real server for `start_server(…, under=TWIN)`: what stands before the server's own command.
"""

import contextlib
import sys

import torch
import torchcodec.decoders

from pasarela_server.__main__ import main
from pasarela_server.backends import jpeg_batches

TWIN = (sys.executable, "-m", "tests.jpeg_twin")
_INSTEAD_OF = ["-m", "pasarela_server"]


class HostLane:
    """A lane on the CPU, on which nothing is recorded."""

    def __init__(self) -> None:
        self.waited = 0

    def working(self) -> contextlib.AbstractContextManager[None]:
        return torch.inference_mode()  # type: ignore[no-any-return]

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        return torch.full(shape, 77, dtype=dtype)  # nobody may rely on what memory holds

    def resident(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype)

    def record(self, run: object) -> None:
        raise AssertionError(f"decoding is not recorded: {run}")

    def wait(self) -> None:
        self.waited += 1


def open_twin(_: int = 0) -> jpeg_batches.JpegBatches:
    """Decodes on the CPU."""
    return jpeg_batches.JpegBatches(torch, jpeg_batches.decoder(torchcodec.decoders, "cpu"), HostLane())


if __name__ == "__main__":
    jpeg_batches.open_jpeg_batches = open_twin
    arguments = sys.argv[1:]
    sys.exit(main(arguments[3:] if arguments[1:3] == _INSTEAD_OF else arguments))
