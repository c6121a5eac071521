"""A network compiled for the shapes that will come: the compiler fuses what would be one kernel after the other."""

from __future__ import annotations

import functools
import importlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pasarela_server.backends.pytorch_fitting import TOLERANCE, alike
from pasarela_server.backends.pytorch_network import Network
from pasarela_server.backends.pytorch_precision import Precision
from pasarela_server.backends.reasons import reason
from pasarela_server.errors import InvalidModel

_log = logging.getLogger("pasarela_server.backends")

PARAMETER = "compile"


def asks_to_compile(parameters: Mapping[str, str]) -> bool:
    """Whether the parameter asks for it. It takes about half a minute for each form and size, so it must be asked for.

    Raises:
        InvalidModel: It is neither `true` nor `false`.
    """
    written = parameters.get(PARAMETER, "false").strip().lower()
    if written not in ("true", "false"):
        raise InvalidModel(f"parameter {PARAMETER!r} is {written!r}; expected true or false")
    return written == "true"


class Compiler:
    """Compiles a network once for each form and size; the sessions of a model share what was made. Thread-safe."""

    def __init__(self, network: Network, precision: Precision, called: str, backend: str = "inductor") -> None:
        """Compiles nothing yet.

        Args:
            network: What to compile.
            precision: That it computes in.
            called: What the log calls the model.
            backend: The compiler, by PyTorch's name of it.
        """
        self._network = network
        self._tolerance = TOLERANCE[precision]
        self._called = called
        self._backend = backend
        self._made: dict[tuple[tuple[str, tuple[int, ...]], ...], Callable[..., list[Any]]] = {}
        self._lock = threading.Lock()
        self.compiled = 0
        """How many forms and sizes are; of the others the network itself is run."""

    def __call__(self, inputs: Sequence[Any]) -> Callable[[], list[Any]]:
        """What runs the network on these tensors, whatever they hold when it is called.

        Their content is lost. Where the compiler fails, or what it makes answers otherwise than the network does, that
        is the network itself, and the log says why.
        """
        key = tuple((str(tensor.dtype), tuple(tensor.shape)) for tensor in inputs)
        with self._lock:
            if key not in self._made:
                try:
                    self._made[key] = self._compile(inputs)
                    self.compiled += 1
                except Exception as error:  # noqa: BLE001 - a compiler may fail in any way, and nothing depends on it
                    _log.warning("%s: not compiled for %s: %s", self._called, key, reason(error))
                    self._made[key] = lambda *tensors: self._network(tensors)
        return functools.partial(self._made[key], *inputs)

    def _compile(self, inputs: Sequence[Any]) -> Callable[..., list[Any]]:
        torch, network = self._network.torch, self._network
        trace = importlib.import_module("torch.fx.experimental.proxy_tensor").make_fx
        for tensor in inputs:
            # Not by the device's own random numbers, which a recording that failed may have left in disorder.
            pixels = tensor.dtype == torch.uint8
            tensor.copy_(torch.randint(0, 256, tensor.shape) if pixels else torch.rand(tensor.shape))
        own = network(inputs)
        # TorchScript is opaque to the compiler, but not the operators that it calls.
        with torch.inference_mode(False), torch.no_grad(), torch.jit.optimized_execution(False):
            traced = trace(lambda *tensors: network(tensors))(*(torch.zeros_like(tensor) for tensor in inputs))
        compiled: Callable[..., list[Any]] = torch.compile(traced, dynamic=False, backend=self._backend)
        answers = compiled(*inputs)
        if not all(alike(torch, *pair, self._tolerance) for pair in zip(answers, own, strict=True)):
            raise RuntimeError("what the compiler made answers otherwise than the network")
        return compiled
