"""A PyTorch module as the server calls it: tensors of a batch in, tensors of the spec's types out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pasarela_server.backends.torchscript import flatten
from pasarela_server.tensor import Array

PIXEL_LEVELS = 255


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Network:
    """A module on a device. It holds no state of a call: any number of threads may call it."""

    torch: Any
    module: Any
    device: str
    """PyTorch's name of it."""
    compute: Any = None
    """Type that floating-point inputs are brought to (`torch.float16`); None leaves them as they come."""
    channels_last: bool = False
    """Whether images lie in memory pixel by pixel, which convolutions are faster with."""
    answers: tuple[Any, ...] | None = None
    """Types of the outputs; None gives them as the module does."""
    optimised: bool = True
    """Whether TorchScript's optimiser runs: a second for each new shape, by which recorded work gains nothing."""
    pixels: tuple[bool, ...] = ()
    """For each input, whether UINT8 means pixels (n, h, w, 3) instead of values from 0 to 1; empty: for none."""

    def __call__(self, tensors: Sequence[Any]) -> list[Any]:
        """Runs the module on tensors of its device; call it in inference mode.

        Returns:
            Tensors on the device. They may share memory with each other and with `tensors`.
        """
        prepared = [self._prepared(position, tensor) for position, tensor in enumerate(tensors)]
        if self.optimised:
            results = flatten(self.module(*prepared))
        else:
            with self.torch.jit.optimized_execution(False):
                results = flatten(self.module(*prepared))
        if self.answers is None:
            return results
        return [result.to(answer) for result, answer in zip(results, self.answers, strict=True)]

    def copies(self, position: int, tensor: Any) -> bool:
        """Whether an input is copied on its way to the module, which then may write into it."""
        torch = self.torch
        if tensor.dtype == torch.uint8 and self.pixels and self.pixels[position]:
            return True
        if self.compute is not None and tensor.is_floating_point() and tensor.dtype != self.compute:
            return True
        return bool(
            self.channels_last and tensor.dim() == 4 and not tensor.is_contiguous(memory_format=torch.channels_last)
        )

    def _prepared(self, position: int, tensor: Any) -> Any:
        torch = self.torch
        if tensor.dtype == torch.uint8 and self.pixels and self.pixels[position]:
            # (n, h, w, 3) seen as (n, 3, h, w) lies channels-last already.
            layout = torch.channels_last if self.channels_last else torch.contiguous_format
            return tensor.permute(0, 3, 1, 2).to(self.compute or torch.float32, memory_format=layout).div_(PIXEL_LEVELS)
        if self.compute is not None and tensor.is_floating_point():
            tensor = tensor.to(self.compute)
        if self.channels_last and tensor.dim() == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor


class _Lent:
    """An array's memory under PyTorch's eyes: PyTorch knows no read-only tensors, and warns when it is lent one."""

    def __init__(self, array: Array) -> None:
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self._array = array


def lend(torch: Any, array: Array) -> Any:
    """A tensor on an array's own memory, also if the array is read-only. Whoever gets it only reads."""
    if array.flags.writeable:
        return torch.from_numpy(array)
    return torch.from_numpy(np.asarray(_Lent(array)))
