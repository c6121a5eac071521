"""Models for ONNX Runtime."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pasarela_server.backends.artefacts import cuda_index, import_framework, inferring, loading, require_file
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.cuda import find_cuda_memory
from pasarela_server.backends.metadata import exported_precision, parse_properties, pixel_inputs
from pasarela_server.backends.onnxruntime_binding import BoundSession, bound_device
from pasarela_server.backends.onnxruntime_bound_form import Device, DeviceMemory
from pasarela_server.backends.onnxruntime_parts import together
from pasarela_server.backends.onnxruntime_providers import asks_for_graphs, choose_providers
from pasarela_server.backends.onnxruntime_recordings import OF_PROCESS
from pasarela_server.backends.onnxruntime_wide import WideInference
from pasarela_server.backends.wide import may_go_wide
from pasarela_server.errors import BackendMissing, InvalidModel
from pasarela_server.tensor import Array, DataType, TensorSpec

_DATATYPES = {
    "tensor(bool)": DataType.BOOL,
    "tensor(uint8)": DataType.UINT8,
    "tensor(uint16)": DataType.UINT16,
    "tensor(uint32)": DataType.UINT32,
    "tensor(uint64)": DataType.UINT64,
    "tensor(int8)": DataType.INT8,
    "tensor(int16)": DataType.INT16,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
    "tensor(float16)": DataType.FP16,
    "tensor(float)": DataType.FP32,
    "tensor(double)": DataType.FP64,
}
_log = logging.getLogger("pasarela_server.backends")
_FATAL = 4  # what goes wrong is raised; its echo on stderr would only repeat it, with host paths


class OnnxRuntimeSession:
    """One stream of inferences.

    ONNX Runtime keeps the memory of the largest batch that it has seen. Where a batch is no faster than its rows, they
    run one after the other instead, and the memory is that of one.
    """

    def __init__(
        self,
        inference: Any,
        output_names: list[str],
        *,
        row_by_row: bool = False,
        wide: WideInference | None = None,
        wide_threads: int = 0,
    ) -> None:
        self._inference: Any = inference
        self._output_names = output_names
        self._row_by_row = row_by_row
        self._wide = wide
        self._wide_threads = wide_threads

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`. The outputs are new arrays: ONNX Runtime allocates them for each run."""
        return self.infer_parts([inputs])

    def infer_parts(self, parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
        """See `PartsSession.infer_parts`."""
        rows = sum(len(next(iter(part.values()))) for part in parts) if self._row_by_row else 1
        with inferring("ONNX Runtime"):
            outputs = self._run_rows(parts, rows) if rows > 1 else self._run(together(parts))
        return dict(zip(self._output_names, outputs, strict=True))

    @property
    def wide_threads(self) -> int:
        """See `WideSession.wide_threads`."""
        return 0 if self._wide is None else self._wide_threads

    def infer_wide(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `WideSession.infer_wide`."""
        inference = None if self._wide is None else self._wide.ready()
        if inference is None:
            return self.infer(inputs)
        with inferring("ONNX Runtime"):
            outputs = inference.run(self._output_names, dict(inputs))
        return dict(zip(self._output_names, outputs, strict=True))

    def _run(self, inputs: Mapping[str, Array]) -> list[Array]:
        outputs: list[Array] = self._inference.run(self._output_names, dict(inputs))
        return outputs

    def _run_rows(self, parts: Sequence[Mapping[str, Array]], rows: int) -> list[Array]:
        together: list[Array] = []
        places = ((part, row) for part in parts for row in range(len(next(iter(part.values())))))
        for place, (part, row) in enumerate(places):
            outputs = self._run({name: array[row : row + 1] for name, array in part.items()})
            if place == 0:
                together = [np.empty((rows, *output.shape[1:]), output.dtype) for output in outputs]
            for batch, output in zip(together, outputs, strict=True):
                batch[place : place + 1] = output
        return together

    def close(self) -> None:
        """Lets go of the InferenceSession."""
        self._inference = self._wide = None


class OnnxRuntimeBackend:
    """A loaded .onnx file.

    A client that is alone has its images go through an InferenceSession on the cores of all; see `WideInference`.

    With one thread per session, a single InferenceSession serves all: it then has no pool of its own and runs on the
    threads of its callers, side by side. With more, each session gets an InferenceSession: a pool that is shared would
    make concurrent runs wait for each other, at the price of the weights being in memory once per session. What records
    CUDA graphs is not shared either: ONNX Runtime records for one thread.
    """

    def __init__(
        self,
        ort: Any,
        artefact: Path,
        options: BackendOptions,
        find_memory: Callable[[], DeviceMemory | str] = find_cuda_memory,
    ) -> None:
        self._ort = ort
        self._artefact = artefact
        self._called = "/".join(artefact.parts[-3:])
        self._options = options
        self._lock = threading.Lock()
        self._sessions: list[OnnxRuntimeSession | BoundSession] = []
        self._graphs = asks_for_graphs(options.accelerators)
        self._shared = options.threads == 1 and not self._graphs
        on_cpu = cuda_index(options.parameters) is None
        cores = options.instances * options.threads
        wide = WideInference(artefact, lambda: self._open(cores)) if may_go_wide(options, on_cpu=on_cpu) else None
        self._first: Any = self._open(options.threads)
        self._first_is_free = True
        with loading(artefact):
            spec = _read_spec(self._first)
        self._spec = replace(spec, row_by_row=_goes_row_by_row(spec, options))
        bound = bound_device(options, spec)
        self._bound = None if bound is None else self._with_memory(bound, find_memory)
        self._wide = wide if self._spec.row_by_row else None
        self._wide_threads = cores

    @property
    def spec(self) -> ArtefactSpec:
        """See `Backend.spec`."""
        return self._spec

    @property
    def description(self) -> str:
        """See `Backend.description`."""
        index = cuda_index(self._options.parameters)
        device = "CPU" if index is None else f"CUDA {index}"
        if "tensorrt" in self._options.accelerators:
            device += " with TensorRT"
        if self._bound is not None:
            device += ", I/O binding" + (" and CUDA graphs" if self._graphs else "")
        precision = exported_precision(self._spec.metadata, self._spec.inputs)
        return (
            f"ONNX Runtime {self._ort.__version__}, {device}, {precision}, "
            f"{self._options.instances} x {self._options.threads} threads"
        )

    def session(self) -> OnnxRuntimeSession | BoundSession:
        """See `Backend.session`."""
        with self._lock:
            take_first = self._shared or self._first_is_free
            self._first_is_free = False
        inference = self._first if take_first else self._open(self._options.threads)
        session = (
            self._plain_session(inference) if self._bound is None else self._bound_session(inference, *self._bound)
        )
        self._sessions.append(session)
        return session

    def _with_memory(
        self, device: Device, find_memory: Callable[[], DeviceMemory | str]
    ) -> tuple[Device, DeviceMemory] | None:
        memory = find_memory()
        if not isinstance(memory, str):
            return device, memory
        if self._graphs:
            raise BackendMissing(
                f"the model asks for CUDA graphs, for which tensors are copied by CUDA itself: {memory}"
            )
        _log.warning("%s: called without I/O binding: %s", self._called, memory)
        return None

    def _plain_session(self, inference: Any) -> OnnxRuntimeSession:
        names = [output.name for output in self._spec.outputs]
        return OnnxRuntimeSession(
            inference, names, row_by_row=self._spec.row_by_row, wide=self._wide, wide_threads=self._wide_threads
        )

    def _bound_session(self, inference: Any, device: Device, memory: DeviceMemory) -> BoundSession:
        return BoundSession(
            self._ort, inference, self._spec, device, memory, OF_PROCESS, called=self._called, graphs=self._graphs
        )

    def close(self) -> None:
        """See `Backend.close`. Sessions are emptied too: whoever still holds one keeps nothing of the model alive."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        self._first = None
        wide, self._wide = self._wide, None
        if wide is not None:
            wide.close()

    def _open(self, threads: int) -> Any:
        ort = self._ort
        settings = ort.SessionOptions()
        settings.log_severity_level = _FATAL
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        # A pool that spins while it has nothing to do takes the cores from the other sessions.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
        index = cuda_index(self._options.parameters)
        providers = choose_providers(self._options, index, ort.get_available_providers())
        alone = OF_PROCESS.loading() if index is not None else nullcontext()
        with loading(self._artefact), alone:
            return ort.InferenceSession(str(self._artefact), settings, providers=providers)


class OnnxRuntimeLoader:
    """Loads .onnx files."""

    name = "onnxruntime"
    artefact = "model.onnx"

    def prepare(self) -> None:
        """See `PreparedLoader.prepare`."""
        _import_without_telemetry()

    def load(self, artefact: Path, options: BackendOptions) -> OnnxRuntimeBackend:
        """See `BackendLoader.load`.

        The parameter `device` (`cpu`, `gpu`, `cuda:N`) chooses the device, the accelerators what is used there. On a
        GPU tensors are bound to its memory, see `BoundSession`; the parameter `io_binding` says `false` to that.
        """
        ort = _import_without_telemetry()
        require_file(artefact)
        return OnnxRuntimeBackend(ort, artefact, options)


def _import_without_telemetry() -> Any:
    # ONNX Runtime reports what it does over the network, and keeps a number of the machine in the home, unless it is
    # told not to before it is imported. Whoever wants that says so in the environment.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_framework("onnxruntime", extra="onnxruntime")


def _goes_row_by_row(spec: ArtefactSpec, options: BackendOptions) -> bool:
    """Whether a batch is no faster than its rows: on one thread of a CPU, for a detector's images. Pure."""
    on_cpu = cuda_index(options.parameters) is None
    return on_cpu and options.threads == 1 and spec.batched and bool(pixel_inputs(spec.metadata, spec.inputs))


def _read_spec(inference: Any) -> ArtefactSpec:
    inputs = tuple(_tensor_spec(tensor) for tensor in inference.get_inputs())
    outputs = tuple(_tensor_spec(tensor) for tensor in inference.get_outputs())
    return ArtefactSpec(
        inputs=inputs,
        outputs=outputs,
        batched=all(spec.shape[:1] == (-1,) for spec in inputs + outputs),
        metadata=parse_properties(inference.get_modelmeta().custom_metadata_map),
    )


def _tensor_spec(tensor: Any) -> TensorSpec:
    datatype = _DATATYPES.get(tensor.type)
    if datatype is None:
        raise InvalidModel(f"{tensor.name!r} is a {tensor.type}, which is not served")
    return TensorSpec(tensor.name, datatype, tuple(size if isinstance(size, int) else -1 for size in tensor.shape))
