"""ONNX Runtime on a GPU that is not there: the real one computes on the CPU, and is held to what CUDA's provider does.

Memory and bindings name the device `cuda`, or the twin refuses. What `enable_cuda_graph` records is played as CUDA
plays it: on the thread that recorded it, into and out of the memory that was bound then, whatever is bound now.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from typing import Any

import numpy as np
import onnxruntime

from pasarela_server.backends.cuda import CudaMemory

DEVICE = ("cuda", 1)


class Runtime:
    """libcudart, of a device whose memory is the process's own. `copies` counts them, the next fails if `fails`."""

    def __init__(self, number: int = DEVICE[1]) -> None:
        self.copies = 0
        self.fails = False

        def choose(device_id: int) -> int:
            return 0 if device_id == number else 101

        def copy(target: int, source: int, byte_size: int, _: int) -> int:
            self.copies += 1
            if self.fails:
                self.fails = False
                return 700
            ctypes.memmove(target, source, byte_size)
            return 0

        for name, call in {
            "cudaSetDevice": choose,
            "cudaMemcpy": copy,
            "cudaStreamSynchronize": lambda _: 0,
            "cudaGetErrorString": lambda code: b"error %d" % code,
            "cudaIpcOpenMemHandle": lambda *_: 1,
            "cudaIpcCloseMemHandle": lambda *_: 1,
        }.items():
            setattr(self, name, _Function(call))
        self.memory = CudaMemory(self, self)  # type: ignore[arg-type]


class _Function:
    """A function of a library, which takes the types of its arguments as attributes."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class Value:
    """Of `OrtValue`, what is used."""

    def __init__(self, real: Any) -> None:
        self.real = real

    @classmethod
    def ortvalue_from_shape_and_type(cls, shape: list[int], kind: Any, device: str, number: int) -> Value:
        assert (device, number) == DEVICE
        return cls(onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind, "cpu", 0))

    def data_ptr(self) -> int:
        return self.real.data_ptr()

    def shape(self) -> list[int]:
        return self.real.shape()

    def tensor_size_in_bytes(self) -> int:
        return self.real.tensor_size_in_bytes()


class Binding:
    """Of `IOBinding`, what is used."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.values: dict[str, Value] = {}
        self.loose: set[str] = set()

    def bind_ortvalue_input(self, name: str, value: Value) -> None:
        self.values[name] = value
        self.real.bind_ortvalue_input(name, value.real)

    def bind_ortvalue_output(self, name: str, value: Value) -> None:
        self.loose.discard(name)
        self.values[name] = value
        self.real.bind_ortvalue_output(name, value.real)

    def bind_output(self, name: str, device: str, number: int) -> None:
        assert (device, number) == DEVICE
        self.loose.add(name)
        self.real.bind_output(name, "cpu", 0)

    def get_outputs(self) -> list[Any]:
        return self.real.get_outputs()


class Inference:
    """An InferenceSession.

    `played` counts runs with bindings by number of recording, `plain` the others; `fails` holds what the next bound
    runs raise, by number of recording.
    """

    def __init__(self, path: str, settings: Any, providers: list[tuple[str, dict[str, str]]]) -> None:
        name, options = providers[0]
        assert name == "CUDAExecutionProvider"
        self._real = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        self.graphs = options.get("enable_cuda_graph") == "1"
        self.recorded: dict[tuple[int, str], Binding] = {}
        self.played: Counter[str] = Counter()
        self.plain = 0
        self.fails: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def io_binding(self) -> Binding:
        return Binding(self._real.io_binding())

    def run(self, names: list[str], inputs: dict[str, np.ndarray], options: Any = None) -> list[np.ndarray]:
        self.plain += 1
        assert self._number(options) == "-1", "without fixed memory nothing may be recorded"
        return self._real.run(names, inputs, options)

    def run_with_iobinding(self, binding: Binding, options: Any) -> None:
        number = self._number(options)
        if number in self.fails:
            raise self.fails.pop(number)
        self.played[number] += 1
        if number != "-1":
            assert not binding.loose, "what is recorded writes to memory that is let go"
            binding = self.recorded.setdefault((threading.get_ident(), number), binding)
        self._real.run_with_iobinding(binding.real, options)

    def _number(self, options: Any) -> str:
        if not self.graphs:
            return "-1"
        return "0" if options is None else options.get_run_config_entry("gpu_graph_id")


class Twin:
    """Of the module `onnxruntime`, what is used. `opened` holds the InferenceSessions."""

    OrtValue = Value
    SessionOptions = onnxruntime.SessionOptions
    RunOptions = onnxruntime.RunOptions
    __version__ = onnxruntime.__version__

    def __init__(self) -> None:
        self.opened: list[Inference] = []
        self.InferenceSession = self._open

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def _open(self, path: str, settings: Any, providers: list[tuple[str, dict[str, str]]]) -> Inference:
        self.opened.append(Inference(path, settings, providers))
        return self.opened[-1]
