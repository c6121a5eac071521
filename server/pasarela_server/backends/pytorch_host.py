"""PyTorch on the CPU: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pasarela_server.backends.artefacts import inferring
from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.backends.pytorch_network import Network, lend
from pasarela_server.tensor import Array


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ArrayNetwork:
    """A network called with arrays; any number of threads may call it."""

    network: Network
    threads: int

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs the network once; the caller owns what it gets."""
        torch = self.network.torch
        # PyTorch counts threads per calling thread, and a session may be handed from one thread to another.
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            results = self.network([self._tensor(position, array) for position, array in enumerate(inputs)])
            outputs = [tensor.cpu().contiguous().numpy() for tensor in results]
        # A module may hand its input through.
        return [
            output.copy() if any(np.may_share_memory(output, array) for array in inputs) else output
            for output in outputs
        ]

    def _tensor(self, position: int, array: Array) -> Any:
        tensor = lend(self.network.torch, array)
        if not array.flags.writeable and not self.network.copies(position, tensor):
            tensor = tensor.clone()  # nobody knows whether the module writes into its input
        return tensor.to(self.network.device)


class HostSession:
    """One stream of inferences; all sessions of a model share its weights."""

    def __init__(self, network: ArrayNetwork, spec: ArtefactSpec, wide: ArrayNetwork | None = None) -> None:
        """Builds the session.

        Args:
            network: What it runs.
            spec: The tensors.
            wide: The same network on the threads of all sessions; None if that would be of no use.
        """
        self._network: ArrayNetwork | None = network
        self._wide = wide
        self._input_names = [tensor.name for tensor in spec.inputs]
        self._output_names = [tensor.name for tensor in spec.outputs]

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        return self._run(self._network, inputs)

    @property
    def wide_threads(self) -> int:
        """See `WideSession.wide_threads`."""
        return 0 if self._wide is None else self._wide.threads

    def infer_wide(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `WideSession.infer_wide`."""
        return self._run(self._wide or self._network, inputs)

    def _run(self, network: ArrayNetwork | None, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if network is None:
            raise RuntimeError("the session is closed")
        with inferring("PyTorch"):
            outputs = network([inputs[name] for name in self._input_names])
        return dict(zip(self._output_names, outputs, strict=True))

    def close(self) -> None:
        """Lets go of the weights."""
        self._network = self._wide = None
