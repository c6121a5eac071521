"""The forms in which one OpenVINO model is compiled: for floats or pixels, for one usual image or any size."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pasarela_server.tensor import Array

_log = logging.getLogger("pasarela_server.backends")


@dataclass(frozen=True, slots=True)
class Variant:
    """One compiled form of a model."""

    pixels: bool = False
    """Takes (n, h, w, 3) UINT8 and scales and transposes it in the graph; else what the artefact's input says."""
    row: tuple[tuple[int, ...], ...] | None = None
    """The only shape of each input, one row as the artefact orders it; None leaves all shapes as they are."""
    wide: bool = False
    """One stream on all cores of the model, for when nothing else is to be done; else a stream for each session."""


@dataclass(frozen=True, slots=True)
class Forms:
    """Which variant answers which arrays. Pure."""

    pixels: bool
    """The model's only input takes pixels, too."""
    row: tuple[tuple[int, ...], ...] | None
    """The usual shapes, one row of each input, if there are any."""
    row_by_row: bool
    """Whether a batch of usual rows goes through the variant for one."""
    only_row: bool
    """Whether there is no variant for anything else."""

    def choose(self, arrays: Sequence[Array]) -> Variant:
        """The variant for these arrays, one for each input; if nothing fits, the one whose refusal says why."""
        first = arrays[0]
        pixels = self.pixels and first.dtype == np.uint8
        if self.row is None or self.only_row:
            return Variant(pixels, self.row)
        rows, *usual = self.row[0]
        if pixels:
            usual = [*usual[1:], usual[0]]
        fits = first.shape[1:] == tuple(usual) and (first.shape[0] == rows or self.row_by_row)
        return Variant(pixels, self.row if fits else None)


class Variants:
    """The variants of a model: each compiled once, before it is needed or when it is first asked for.

    Threads that ask for a variant while it is compiled wait for it; those that ask for another do not.
    """

    def __init__(self, compiled_by: Callable[[Variant], Any], known: tuple[Variant, ...]) -> None:
        """Compiles nothing yet.

        Args:
            compiled_by: Compiles a variant; called once for each, on the thread that asks first.
            known: Those that may be asked for.
        """
        self._compiled_by = compiled_by
        self._locks: Mapping[Variant, threading.Lock] = {variant: threading.Lock() for variant in known}
        self._compiled: dict[Variant, Any] = {}
        self._starting = threading.Lock()
        self._preparing: dict[Variant, threading.Thread] = {}

    def __getitem__(self, variant: Variant) -> Any:
        compiled = self._compiled.get(variant)
        if compiled is not None:
            return compiled
        with self._locks[variant]:
            if variant not in self._compiled:
                self._compiled[variant] = self._compiled_by(variant)
            return self._compiled[variant]

    def prepared(self, variant: Variant) -> bool:
        """Whether a variant is there. The first who asks has it compiled on a thread of its own."""
        if variant in self._compiled:
            return True
        with self._starting:
            if variant not in self._preparing:
                thread = threading.Thread(target=self._prepare, args=(variant,), name="openvino-compiles")
                self._preparing[variant] = thread
                thread.start()
        return False

    def close(self) -> None:
        """Waits for what is being compiled."""
        for thread in self._preparing.values():
            thread.join()

    def _prepare(self, variant: Variant) -> None:
        try:
            self[variant]
        except Exception:  # noqa: BLE001 - whatever OpenVINO raises, the model is served without it, as until now
            _log.warning("a form of the model for single requests could not be compiled", exc_info=True)


def in_form(model: Any, variant: Variant) -> Any:
    """A copy of a model in the form of a variant, to be compiled."""
    shaped = model.clone()
    if variant.row is not None:
        shaped.reshape({port: list(shape) for port, shape in zip(shaped.inputs, variant.row, strict=True)})
    return _taking_pixels(shaped) if variant.pixels else shaped


def _taking_pixels(model: Any) -> Any:
    """Puts the way from pixels to values in front of a model of one input (n, 3, h, w).

    Scaling comes before the transposition, and is a multiplication: then OpenVINO makes one pass of both and the
    transposition disappears, since its convolutions read channels last. In another order two more passes stay.
    """
    import openvino as ov
    import openvino.opset13 as operations
    from openvino.preprocess import PrePostProcessor
    from openvino.utils.decorators import custom_preprocess_function

    @custom_preprocess_function  # type: ignore[untyped-decorator]  # OpenVINO has no types here
    def scale(values: Any) -> Any:
        return operations.multiply(values, np.float32(1 / 255))

    preparation = PrePostProcessor(model)
    image = preparation.input()
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    image.preprocess().convert_element_type(ov.Type.f32).custom(scale)
    image.model().set_layout(ov.Layout("NCHW"))
    return preparation.build()
