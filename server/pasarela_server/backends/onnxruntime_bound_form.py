"""The memory of one form of batches on a device, and ONNX Runtime's binding to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pasarela_server.tensor import Array

Shape = tuple[int, ...]


class Device(NamedTuple):
    """Memory, in ONNX Runtime's words."""

    kind: str
    """`cuda`, also for TensorRT; `cpu` for tests."""
    number: int


class DeviceMemory(Protocol):
    """Copies to and from a device; `CudaMemory` is one, and says what each of these does."""

    def write(self, address: int, device_id: int, contents: memoryview) -> None:
        """Copies bytes to the device."""
        ...

    def read_into(self, target: Array, address: int, device_id: int) -> None:
        """Fills an array from the device."""
        ...


class _Output:
    """An output's place on the device, or that it has none."""

    def __init__(self, name: str, kind: np.dtype[Any]) -> None:
        self.name = name
        self.kind = kind
        self.value: Any = None


class BoundForm:
    """The memory of one form of batches on the device. Used by one thread at a time.

    ONNX Runtime's own copies, `update_inplace` and `copy_outputs_to_cpu`, hold Python's lock while they copy, and with
    it the server's event loop; a `DeviceMemory` does not.
    """

    def __init__(self, ort: Any, inference: Any, device: Device, memory: DeviceMemory) -> None:
        """Binds nothing yet.

        Args:
            ort: ONNX Runtime.
            inference: The InferenceSession.
            device: Where tensors are bound.
            memory: Of that device.
        """
        self._ort = ort
        self._inference = inference
        self._device = device
        self._memory = memory
        self._binding = inference.io_binding()
        self._inputs: list[Any] = []
        self._outputs: list[_Output] = []
        self.options: Any = None
        """What a run of a recorded form is told."""
        self.recorded_by: int | None = None
        """The thread whose recording there is: ONNX Runtime keeps them for each thread."""

    def bind_input(self, name: str, array: Array) -> None:
        """Takes memory for an input like this one."""
        value = self._take(array.shape, array.dtype)
        self._binding.bind_ortvalue_input(name, value)
        self._inputs.append(value)

    def bind_output(self, name: str, kind: np.dtype[Any], shape: Shape | None) -> None:
        """Takes memory for an output; ONNX Runtime does so for each run where the shape is None."""
        output = _Output(name, kind)
        self._outputs.append(output)
        if shape is None:
            self._leave(output)
        else:
            self._place(output, shape)

    @property
    def stays(self) -> bool:
        """Whether each output has its place, so that what is recorded writes where the next run reads."""
        return all(output.value is not None for output in self._outputs)

    @property
    def byte_size(self) -> int:
        """Bytes on the device that stay between runs."""
        held = (*self._inputs, *(output.value for output in self._outputs))
        return sum(value.tensor_size_in_bytes() for value in held if value is not None)

    def run(self, arrays: Sequence[Array], options: Any) -> list[Array]:
        """Runs the model once; the caller owns what it gets.

        Args:
            arrays: The inputs, in the order in which they were bound; shapes and types as then.
            options: For the run; None for ONNX Runtime's own.
        """
        for value, array in zip(self._inputs, arrays, strict=True):
            if array.nbytes:
                contents = array.reshape(-1).view(np.uint8).data
                self._memory.write(value.data_ptr(), self._device.number, contents)
        self._inference.run_with_iobinding(self._binding, options)
        left = [None] * len(self._outputs) if self.stays else self._binding.get_outputs()
        answers = []
        for output, value in zip(self._outputs, left, strict=True):
            answers.append(self._fetch(output.kind, value if output.value is None else output.value))
            if output.value is None:
                self._leave(output)
        return answers

    def settle(self, answers: Sequence[Array]) -> None:
        """Gives each output its place, as large as these: all answers to a recorded form have one shape."""
        for output, answer in zip(self._outputs, answers, strict=True):
            if output.value is None:
                self._place(output, answer.shape)

    def _fetch(self, kind: np.dtype[Any], value: Any) -> Array:
        answer = np.empty(value.shape(), kind)
        if answer.nbytes:
            self._memory.read_into(answer, value.data_ptr(), self._device.number)
        return answer

    def _place(self, output: _Output, shape: Shape) -> None:
        output.value = self._take(shape, output.kind)
        self._binding.bind_ortvalue_output(output.name, output.value)

    def _leave(self, output: _Output) -> None:
        # Bound anew for each run: ONNX Runtime takes what the last one left for memory of the next one's shape.
        self._binding.bind_output(output.name, *self._device)

    def _take(self, shape: Shape, kind: np.dtype[Any]) -> Any:
        return self._ort.OrtValue.ortvalue_from_shape_and_type(list(shape), kind, *self._device)
