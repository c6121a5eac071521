"""ONNX Runtime's execution providers for a model: the CPU, CUDA, and TensorRT in front of CUDA. Pure.

Names and parameters of accelerators are those of Triton's ONNX Runtime backend; what it does not rename is handed to
the provider under its own name, unless it leads out of the model: a library, a file, an address in memory.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from pasarela_server.backends.base import BackendOptions
from pasarela_server.errors import BackendMissing, InvalidModel

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
Providers = list[tuple[str, dict[str, str]]]

_RENAMED = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}
_LEADS_OUT = re.compile(
    r"gpu_external_\w+|user_compute_stream|trt_dump_\w+|\w*(?:path|paths|bytestream|bytestream_size|prefix)"
)
_NO_NAME = re.compile(r"[^\w.-]|^\.")
_PRECISIONS: Mapping[str, Mapping[str, str]] = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "1"},
    "INT8": {"trt_int8_enable": "1"},
}


def choose_providers(options: BackendOptions, index: int | None, available: Collection[str]) -> Providers:
    """The providers of a model, the one that is asked first in front.

    Args:
        options: The model's; its accelerators count.
        index: The CUDA device; None for the CPU.
        available: Providers that are built into the installed ONNX Runtime.

    Raises:
        BackendMissing: One that is asked for is not built in; the message says what to install.
        InvalidModel: An accelerator or a parameter of it is unknown or not taken, or the model runs on the CPU.
    """
    unknown = sorted(options.accelerators.keys() - {"tensorrt", "cuda"})
    if unknown:
        raise InvalidModel(f"gpu_execution_accelerator {unknown[0]!r} is unknown; known are tensorrt and cuda")
    if index is None:
        if options.accelerators:
            raise InvalidModel(
                f"gpu_execution_accelerator {min(options.accelerators)!r} is for a GPU, and the model runs on the "
                "CPU; write instance_group { kind: KIND_GPU }, or remove it"
            )
        return [(CPU, {})]
    if CUDA not in available:
        raise BackendMissing(
            "the model asks for a CUDA device, and this build of onnxruntime has no CUDA; "
            "install it with: pip install onnxruntime-gpu"
        )
    for accelerator, parameters in sorted(options.accelerators.items()):
        _refuse_what_leads_out(accelerator, parameters)
    if _is_on(options.accelerators.get("tensorrt", {}), "trt_cuda_graph_enable"):
        raise InvalidModel(
            "parameter 'trt_cuda_graph_enable' of the accelerator tensorrt is not taken: what it records answers to "
            "one shape; write enable_cuda_graph for the accelerator cuda, without tensorrt"
        )
    device = {"device_id": str(index)}
    providers: Providers = [(CUDA, {**options.accelerators.get("cuda", {}), **device}), (CPU, {})]
    if "tensorrt" not in options.accelerators:
        return providers
    if TENSORRT not in available:
        raise BackendMissing(
            "the model asks for TensorRT, and this build of onnxruntime has none; "
            "install it with: pip install onnxruntime-gpu tensorrt"
        )
    return [(TENSORRT, {**_tensorrt_options(options.accelerators["tensorrt"]), **device}), *providers]


def asks_for_graphs(accelerators: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether CUDA's provider is asked to record CUDA graphs, with `enable_cuda_graph`."""
    return _is_on(accelerators.get("cuda", {}), "enable_cuda_graph")


def _is_on(parameters: Mapping[str, str], key: str) -> bool:
    return parameters.get(key, "0").lower() in ("1", "true")


def _refuse_what_leads_out(accelerator: str, parameters: Mapping[str, str]) -> None:
    """A configuration may come from a client, who must not choose what the process reads, writes, loads or calls."""
    for key, value in sorted(parameters.items()):
        is_table = key.endswith("int8_calibration_table_name") and _NO_NAME.search(value)
        if _LEADS_OUT.fullmatch(key) or is_table:
            raise InvalidModel(
                f"parameter {key!r} of the accelerator {accelerator} is not taken: it leads out of the model's folder"
            )


def _tensorrt_options(parameters: Mapping[str, str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for key, value in parameters.items():
        if key == "precision_mode":
            if value not in _PRECISIONS:
                raise InvalidModel(f"precision_mode is {value!r}; expected one of {', '.join(_PRECISIONS)}")
            chosen.update(_PRECISIONS[value])
        elif key in _RENAMED or key.startswith("trt_"):
            chosen[_RENAMED.get(key, key)] = {"true": "1", "false": "0"}.get(value.lower(), value)
        else:
            raise InvalidModel(
                f"parameter {key!r} of the accelerator tensorrt is unknown; "
                f"known are precision_mode, {', '.join(_RENAMED)} and those of ONNX Runtime, which begin with trt_"
            )
    return chosen
