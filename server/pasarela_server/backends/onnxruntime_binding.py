"""ONNX Runtime on a GPU: inputs and outputs are bound to memory of the device that stays where it is."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pasarela_server.backends.artefacts import cuda_index, inferring, lacks_memory
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.onnxruntime_bound_form import BoundForm, Device, DeviceMemory, Shape
from pasarela_server.backends.onnxruntime_forms import FormKey, Forms
from pasarela_server.backends.onnxruntime_parts import together
from pasarela_server.backends.onnxruntime_providers import asks_for_graphs
from pasarela_server.backends.onnxruntime_recordings import Recordings
from pasarela_server.backends.reasons import reason
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array, DataType, TensorSpec

PARAMETER = "io_binding"
"""Of config.pbtxt: `false` has a model on a GPU called with arrays of the host."""

_MOST_FORMS, _MOST_BYTES = 16, 512 << 20
"""What a session keeps on the device, for recorded forms and for the others each."""
_TRIALS = 3
"""The first run takes memory, the second is recorded where anything is, the third plays that."""
_SHARE = 0.01
"""How far answers may be apart, of the largest value: on a GPU a sum need not be added up in the same order twice."""
_GRAPH = "gpu_graph_id"
_UNRECORDED = "-1"
_log = logging.getLogger("pasarela_server.backends")


def bound_device(options: BackendOptions, spec: ArtefactSpec) -> Device | None:
    """The device that tensors are bound to; None where ONNX Runtime is called with arrays. Pure.

    Raises:
        InvalidModel: The parameter says neither yes nor no, or CUDA graphs are asked for where nothing is bound.
    """
    asked = options.parameters.get(PARAMETER, "true")
    if asked not in ("true", "false"):
        raise InvalidModel(f"parameter {PARAMETER!r} is {asked!r}; expected true or false")
    index = cuda_index(options.parameters)
    of_any_length = [tensor.name for tensor in spec.inputs + spec.outputs if tensor.datatype is DataType.BYTES]
    if index is not None and asked == "true" and not of_any_length:
        return Device("cuda", index)
    if index is not None and asks_for_graphs(options.accelerators):
        why = f"{of_any_length[0]!r} is BYTES" if of_any_length else f"parameter {PARAMETER!r} is false"
        raise InvalidModel(f"enable_cuda_graph needs tensors that stay where they are on the GPU, and {why}")
    return None


def known_shape(tensor: TensorSpec, rows: int | None) -> Shape | None:
    """The shape that an output will have; None if only the run tells. Pure.

    Args:
        tensor: The output.
        rows: Of the batch; None if the model does not batch.
    """
    shape = tensor.shape if rows is None else (rows, *tensor.shape[1:])
    return None if -1 in shape else shape


def alike(answer: Array, plain: Array) -> bool:
    """Whether two answers to the same are the same, up to rounding. Pure."""
    if answer.shape != plain.shape or answer.dtype != plain.dtype:
        return False
    if plain.dtype.kind != "f":
        return bool(np.array_equal(answer, plain))
    finite = np.abs(plain[np.isfinite(plain)])
    most = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(answer, plain, rtol=0.0, atol=_SHARE * most, equal_nan=True))


class BoundSession:
    """One stream of inferences on a GPU. It has not been measured on one: only answers were compared, on the CPU.

    Each form of batches (types and shapes of the inputs) has memory on the device, which its inputs are copied to.
    Outputs have theirs where their shape is known beforehand; the others are left on the device by the run. Each comes
    back in one copy, which the caller owns. The most recently used forms keep their memory.

    With CUDA graphs, a form that comes a second time is recorded, once for each thread that runs the session, and
    stays for as long as the session does: ONNX Runtime has no sure way to let go of a recording. When there is no room
    for one more, forms run step by step.

    The first runs, those that warm the model up, are made with the plain call, too: if the answers are not the same,
    the session binds nothing, and says so in the log. Whatever fails is done again with ONNX Runtime's plain call, so
    errors are the plain call's own. If that answers, the session keeps no places for outputs from then on, nor
    recordings; if it happens again, it binds nothing. The log says why. Memory that was short is no reason to.
    """

    def __init__(
        self,
        ort: Any,
        inference: Any,
        spec: ArtefactSpec,
        device: Device,
        memory: DeviceMemory,
        recordings: Recordings,
        *,
        called: str = "the model",
        graphs: bool = False,
        most_forms: int = _MOST_FORMS,
        most_bytes: int = _MOST_BYTES,
        trials: int = _TRIALS,
    ) -> None:
        """Builds the session; takes no memory yet.

        Args:
            ort: ONNX Runtime.
            inference: The InferenceSession; with `graphs` the session's own, for ONNX Runtime records on one thread.
            spec: Of the model.
            device: Where the tensors are bound.
            memory: Of that device.
            recordings: Shared by all sessions of the process.
            called: The model, for the log.
            graphs: Whether the InferenceSession records CUDA graphs.
            most_forms: Forms that keep memory; recorded ones are counted for themselves.
            most_bytes: Bytes of these, the same.
            trials: How many runs are compared with the plain call's.
        """
        self._ort = ort
        self._inference = inference
        self._batched = spec.batched
        self._input_names = [tensor.name for tensor in spec.inputs]
        self._outputs = spec.outputs
        self._output_names = [tensor.name for tensor in spec.outputs]
        self._device = device
        self._memory = memory
        self._recordings = recordings
        self._called = called
        self._graphs = graphs
        self._unrecorded = self._options(_UNRECORDED) if graphs else None
        self._kept: Forms[BoundForm] = Forms(most_forms, most_bytes)
        self._recorded: Forms[BoundForm] = Forms(most_forms, most_bytes)
        self._recordings_left = most_forms
        self._places_outputs = True
        self._binds = True
        self._trials_left = trials

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        return self.infer_parts([inputs])

    def infer_parts(self, parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
        """See `PartsSession.infer_parts`."""
        with inferring("ONNX Runtime"):
            inputs = together(parts)
            outputs = self._run(inputs) if self._binds else self._run_plain(inputs)
        return dict(zip(self._output_names, outputs, strict=True))

    @property
    def places_outputs(self) -> bool:
        """Whether outputs of known shape have their places; False once something failed bound and not otherwise."""
        return self._places_outputs

    @property
    def binds(self) -> bool:
        """Whether it binds; False once that has happened again."""
        return self._binds

    def close(self) -> None:
        """Lets go of the InferenceSession, and of all memory on the device."""
        self._kept.clear()
        self._recorded.clear()
        self._inference = None

    def _run(self, inputs: Mapping[str, Array]) -> list[Array]:
        try:
            answers = self._run_bound(inputs)
            return self._compared(inputs, answers) if self._trials_left else answers
        except Exception as error:  # noqa: BLE001 - the plain call says whether it was the inputs
            failed = error.with_traceback(None)  # its frames would hold the memory that the plain call may need
        short = lacks_memory(failed)
        if short:
            self._kept.clear()
        answers = self._run_plain(inputs)
        if not short:
            self._step_down(failed)
        return answers

    def _compared(self, inputs: Mapping[str, Array], answers: list[Array]) -> list[Array]:
        """Answers that are known to be right."""
        plain = self._run_plain(inputs)
        self._trials_left -= 1
        if all(map(alike, answers, plain)):
            return answers
        self._binds = False
        self._kept.clear()
        self._recorded.clear()
        _log.warning("%s: from now on nothing is bound, for answers were not those of the plain call", self._called)
        return plain

    def _step_down(self, failed: Exception) -> None:
        self._kept.clear()
        self._recorded.clear()
        if self._places_outputs:
            self._places_outputs, less = False, "outputs are left where they come to lie, nothing is recorded"
        else:
            self._binds, less = False, "nothing is bound"
        _log.warning("%s: from now on %s, for it failed: %s", self._called, less, reason(failed))

    def _run_plain(self, inputs: Mapping[str, Array]) -> list[Array]:
        with self._recordings.working():
            outputs: list[Array] = self._inference.run(self._output_names, dict(inputs), self._unrecorded)
        return outputs

    def _run_bound(self, inputs: Mapping[str, Array]) -> list[Array]:
        if len(inputs) != len(self._input_names):
            raise ValueError(f"expected the inputs {self._input_names}, got {list(inputs)}")
        arrays = [inputs[name] for name in self._input_names]
        key: FormKey = tuple((array.dtype.str, array.shape) for array in arrays)
        form = self._recorded.find(key) or self._kept.find(key)
        try:
            if form is not None and self._is_to_be_recorded(form):
                with self._recordings.recording() as alone:
                    if alone:
                        return self._record(key, form, arrays)
            with self._recordings.working():
                if form is None:
                    form = self._make(key, arrays)
                recorded = form.recorded_by == threading.get_ident()
                answers = form.run(arrays, form.options if recorded else self._unrecorded)
                if self._graphs and self._places_outputs:
                    form.settle(answers)
        except BaseException:
            # Nobody knows what state it is in. A recording that fails ends up here, too, and is not tried again.
            self._kept.forget(key)
            self._recorded.forget(key)
            raise
        return answers

    def _make(self, key: FormKey, arrays: Sequence[Array]) -> BoundForm:
        rows = arrays[0].shape[0] if self._batched else None
        shapes = [known_shape(tensor, rows) if self._places_outputs else None for tensor in self._outputs]
        placed = [(tensor, shape) for tensor, shape in zip(self._outputs, shapes, strict=True) if shape is not None]
        self._kept.make_room(
            sum(array.nbytes for array in arrays)
            + sum(math.prod(shape) * tensor.datatype.numpy.itemsize for tensor, shape in placed)
        )
        form = BoundForm(self._ort, self._inference, self._device, self._memory)
        for name, array in zip(self._input_names, arrays, strict=True):
            form.bind_input(name, array)
        for tensor, shape in zip(self._outputs, shapes, strict=True):
            form.bind_output(tensor.name, tensor.datatype.numpy, shape)
        self._kept.keep(key, form)
        return form

    def _is_to_be_recorded(self, form: BoundForm) -> bool:
        records = self._graphs and self._places_outputs
        if not records or form.recorded_by == threading.get_ident():
            return False
        if form.options is not None:
            return True
        return self._recordings_left > 0 and self._recorded.have_room(form.byte_size)

    def _record(self, key: FormKey, form: BoundForm, arrays: Sequence[Array]) -> list[Array]:
        if form.options is None:
            # Down to 1, for 0 is ONNX Runtime's own. No number is used twice: a recording may outlive its form.
            form.options = self._options(str(self._recordings_left))
            self._recordings_left -= 1
            self._kept.forget(key)
            self._recorded.keep(key, form)
        answers = form.run(arrays, form.options)
        form.recorded_by = threading.get_ident()
        return answers

    def _options(self, graph: str) -> Any:
        options = self._ort.RunOptions()
        options.add_run_config_entry(_GRAPH, graph)
        return options
