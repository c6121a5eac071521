"""Models for PyTorch: TorchScript archives, and those of `torch.export`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pasarela_server.backends import graph_sizes
from pasarela_server.backends.artefacts import cuda_index, import_framework, loading, require_file
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.cuda_lane import CudaLane, keep_single_precision
from pasarela_server.backends.exported_program import empty, load_exported
from pasarela_server.backends.metadata import exported_precision, pixel_inputs
from pasarela_server.backends.pytorch_batches import BatchSession
from pasarela_server.backends.pytorch_compiled import Compiler, asks_to_compile
from pasarela_server.backends.pytorch_fitting import fit
from pasarela_server.backends.pytorch_host import ArrayNetwork, HostSession
from pasarela_server.backends.pytorch_network import Network
from pasarela_server.backends.pytorch_precision import Precision, asked_precision, usual_precision
from pasarela_server.backends.torchscript import discover_spec
from pasarela_server.backends.torchscript_archive import check_kind, input_count, load_torchscript
from pasarela_server.backends.usual_shapes import noise_array, stand_in_shape, usual_forms, usual_rows
from pasarela_server.backends.wide import may_go_wide
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array

_log = logging.getLogger("pasarela_server.backends")

PyTorchSession = HostSession | BatchSession


class PyTorchBackend:
    """A loaded archive, in the form that its device computes fastest."""

    def __init__(self, torch: Any, artefact: Path, options: BackendOptions, *, exported: bool) -> None:
        self._torch = torch
        self._options = options
        self._called = "/".join(artefact.parts[-3:])
        self._device = _device(torch, options.parameters)
        self._exported = exported
        self._sessions: list[PyTorchSession] = []
        asked = asked_precision(options.parameters)
        self._compiles = asks_to_compile(options.parameters) and self._device != "cpu"
        self._may_go_wide = may_go_wide(options, on_cpu=self._device == "cpu")
        self._sizes = graph_sizes.graph_sizes(options.parameters.get(graph_sizes.PARAMETER), options.max_rows)
        with loading(artefact):
            network, self._spec = self._load(artefact)
            self._network: Network | None
            self._network, self._precision = self._fit(network, asked)
        self._compiler = Compiler(self._network, self._precision, self._called) if self._compiles else None

    @property
    def spec(self) -> ArtefactSpec:
        """See `Backend.spec`."""
        return self._spec

    @property
    def description(self) -> str:
        """See `Backend.description`. Graphs of the GPU are recorded when a session is made, and told from then on."""
        precision = self._precision.value
        if self._precision is Precision.F32:
            precision = exported_precision(self._spec.metadata, self._spec.inputs)
        kind = "torch.export" if self._exported else "TorchScript"
        text = f"PyTorch {self._torch.__version__} {kind}, {self._device.upper()}, {precision}, "
        if self._device == "cpu":
            return f"{text}{self._options.instances} x {self._options.threads} threads"
        recorded = {size for session in self._sessions if isinstance(session, BatchSession) for size in session.sizes}
        graphs = "no CUDA graphs"
        if recorded:
            kind = "compiled CUDA graphs" if self._compiler is not None and self._compiler.compiled else "CUDA graphs"
            graphs = f"{kind} of {', '.join(map(str, sorted(recorded)))} rows"
        return f"{text}{self._torch.cuda.get_device_name(self._device)}, {self._options.instances} streams, {graphs}"

    def session(self) -> PyTorchSession:
        """See `Backend.session`. On a GPU it records its work here, which takes seconds."""
        if self._network is None:
            raise RuntimeError("the backend is closed")
        session: PyTorchSession
        if self._device == "cpu":
            session = self._host_session(self._network)
        else:
            session = BatchSession(self._network, CudaLane(self._torch, self._device), self._spec, self._compiler)
            failures = session.record(usual_forms(self._spec), self._sizes if self._spec.batched else self._sizes[:1])
            for failure in failures:
                _log.warning("%s: no CUDA graph, so it runs step by step: %s", self._called, failure)
        self._sessions.append(session)
        return session

    def close(self) -> None:
        """See `Backend.close`. Sessions are emptied too: whoever still holds one keeps nothing of the model alive."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        if self._exported and self._network is not None:
            empty(self._network.module)
        self._network = self._compiler = None
        if self._device != "cpu":
            self._torch.cuda.empty_cache()  # other processes may need the memory

    def _host_session(self, network: Network) -> HostSession:
        options = self._options
        goes_wide = self._may_go_wide and self._spec.pixel_inputs
        wide = ArrayNetwork(network, options.instances * options.threads) if goes_wide else None
        return HostSession(ArrayNetwork(network, options.threads), self._spec, wide)

    def _load(self, artefact: Path) -> tuple[Network, ArtefactSpec]:
        """The network as it was written, and what it takes and gives."""
        torch = self._torch
        if self._exported:
            module, spec = load_exported(torch, artefact, self._device, self._options)
            network = Network(torch, module, self._device)
        else:
            module, metadata = load_torchscript(torch, artefact, self._device)
            network = Network(torch, module, self._device)
            run = ArrayNetwork(network, self._options.threads)
            spec = _unoptimised(torch, lambda: discover_spec(run, input_count(module), metadata, self._options))
        spec = replace(spec, pixel_inputs=pixel_inputs(spec.metadata, spec.inputs))
        answers = tuple(_type(torch, np.empty(0, tensor.datatype.numpy)) for tensor in spec.outputs)
        pixels = tuple(tensor.name in spec.pixel_inputs for tensor in spec.inputs)
        return replace(network, answers=answers, pixels=pixels), spec

    def _fit(self, network: Network, asked: Precision | None) -> tuple[Network, Precision]:
        """The network in its fastest form, and the precision that it has then."""
        torch, spec = self._torch, self._spec
        if torch.get_num_threads() != self._options.threads:
            torch.set_num_threads(self._options.threads)
        noise = np.random.default_rng(0)
        shapes = [stand_in_shape(tensor.shape, usual_rows(spec.metadata), spec.metadata) for tensor in spec.inputs]
        sample = [
            torch.from_numpy(noise_array(noise, tensor, shape)).to(self._device)
            for tensor, shape in zip(spec.inputs, shapes, strict=True)
        ]
        usual = usual_precision(spec.metadata, gpu=self._device != "cpu")
        try:
            with torch.inference_mode():
                own: Sequence[Any] = _unoptimised(torch, lambda: network(sample))
        except RuntimeError:
            if asked not in (None, Precision.F32):
                raise
            return network, Precision.F32  # sizes that nothing tells: what comes will show whether it runs
        script, records = not self._exported, self._device != "cpu"
        network, precision, refused = fit(network, sample, own, asked, usual, script=script, records=records)
        if refused is not None:
            _log.warning("%s: %s; it computes in %s", self._called, refused, precision.value)
        return network, precision


class PyTorchLoader:
    """Loads archives of TorchScript and `torch.export`, whatever their name.

    Never a pickled checkpoint: reading one runs whatever code it holds.
    """

    name = "pytorch"
    artefact = "model.pt"

    def prepare(self) -> None:
        """See `PreparedLoader.prepare`."""
        import_framework("torch", extra="pytorch")

    def load(self, artefact: Path, options: BackendOptions) -> PyTorchBackend:
        """See `BackendLoader.load`.

        The parameter `device` is `cpu`, `gpu` or `cuda:N`; `precision` is f32, f16, bf16 or default. On a GPU,
        `cuda_graphs` is `off`, or the batch sizes to record as `1,8,32`, and `compile` is true or false.

        TorchScript archives without Ultralytics' metadata do not say what shapes they take: the parameter
        `<input name>.shape` does, as `-1,3,224,224`, and `<input name>.datatype` where it is not FP32.
        """
        torch = import_framework("torch", extra="pytorch")
        require_file(artefact)
        return PyTorchBackend(torch, artefact, options, exported=check_kind(artefact))


def _unoptimised(torch: Any, call: Callable[[], Any]) -> Any:
    """Runs TorchScript without its optimiser, which would spend seconds on shapes that nobody asks for."""
    try:
        with torch.jit.optimized_execution(False):
            return call()
    except RuntimeError:
        # Some networks (`nms=True`) mix types in a way that only the optimiser puts right.
        return call()


def _type(torch: Any, array: Array) -> Any:
    return torch.from_numpy(array).dtype


def _device(torch: Any, parameters: Mapping[str, str]) -> str:
    index = cuda_index(parameters)
    if index is None:
        return "cpu"
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise InvalidModel(f"the model asks for CUDA device {index}, and PyTorch sees no such device")
    keep_single_precision(torch)
    return f"cuda:{index}"
