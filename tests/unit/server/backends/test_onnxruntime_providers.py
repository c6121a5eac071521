"""Which of ONNX Runtime's providers a model asks for, in the words of Triton's configuration."""

import pytest

from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.onnxruntime_providers import CPU, CUDA, TENSORRT, asks_for_graphs, choose_providers
from pasarela_server.errors import BackendMissing, InvalidModel

EVERYTHING = (TENSORRT, CUDA, CPU)
DEVICE = {"device_id": "1"}


def options(**accelerators: dict[str, str]) -> BackendOptions:
    return BackendOptions(1, 1, accelerators=accelerators)


@pytest.mark.parametrize(
    ("asked", "index", "expected"),
    [
        (options(), None, [(CPU, {})]),  # reason: the default
        (options(), 1, [(CUDA, DEVICE), (CPU, {})]),  # reason: a GPU; what it cannot run goes to the CPU
        (  # reason: CUDA's own options, under their own names; the device is that of the instance group
            options(cuda={"cudnn_conv_use_max_workspace": "0", "device_id": "7"}),
            1,
            [(CUDA, {"cudnn_conv_use_max_workspace": "0", **DEVICE}), (CPU, {})],
        ),
        (  # reason: TensorRT in front, what it cannot run goes to CUDA
            options(tensorrt={}, cuda={"prefer_nhwc": "1"}),
            1,
            [(TENSORRT, DEVICE), (CUDA, {"prefer_nhwc": "1", **DEVICE}), (CPU, {})],
        ),
        (  # reason: Triton's names become ONNX Runtime's
            options(
                tensorrt={
                    "precision_mode": "FP16",
                    "max_workspace_size_bytes": "1073741824",
                    "trt_engine_cache_enable": "true",
                    "int8_use_native_calibration_table": "False",
                }
            ),
            1,
            [
                (
                    TENSORRT,
                    {
                        "trt_fp16_enable": "1",
                        "trt_max_workspace_size": "1073741824",
                        "trt_engine_cache_enable": "1",
                        "trt_int8_use_native_calibration_table": "0",
                        **DEVICE,
                    },
                ),
                (CUDA, DEVICE),
                (CPU, {}),
            ],
        ),
        (  # reason: the other precisions
            options(tensorrt={"precision_mode": "INT8"}),
            1,
            [(TENSORRT, {"trt_int8_enable": "1", **DEVICE}), (CUDA, DEVICE), (CPU, {})],
        ),
        (options(tensorrt={"precision_mode": "FP32"}), 1, [(TENSORRT, DEVICE), (CUDA, DEVICE), (CPU, {})]),
        (  # reason: CUDA graphs, under ONNX Runtime's name
            options(cuda={"enable_cuda_graph": "1"}),
            1,
            [(CUDA, {"enable_cuda_graph": "1", **DEVICE}), (CPU, {})],
        ),
        (  # reason: what records nothing may be said
            options(tensorrt={"trt_cuda_graph_enable": "false"}),
            1,
            [(TENSORRT, {"trt_cuda_graph_enable": "0", **DEVICE}), (CUDA, DEVICE), (CPU, {})],
        ),
    ],
)
def test_providers(asked: BackendOptions, index: int | None, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert choose_providers(asked, index, EVERYTHING) == expected


@pytest.mark.parametrize(
    ("asked", "index", "available", "error", "says"),
    [
        (options(), 0, (CPU,), BackendMissing, "pip install onnxruntime-gpu"),  # reason: a build without CUDA
        (options(tensorrt={}), 0, (CUDA, CPU), BackendMissing, "has none; install it with"),  # reason: no TensorRT
        (options(tensorrt={}), None, EVERYTHING, InvalidModel, "runs on the CPU"),  # reason: nothing to accelerate
        (options(openvino={}), 0, EVERYTHING, InvalidModel, "'openvino' is unknown"),  # reason: not on a GPU
        (options(tensorrt={"precision_mode": "fp16"}), 0, EVERYTHING, InvalidModel, "FP32, FP16, INT8"),  # reason: case
        *(
            (options(**{accelerator: {key: value}}), 0, EVERYTHING, InvalidModel, f"'{key}' .* is not taken")
            for accelerator, key, value in (
                ("tensorrt", "trt_extra_plugin_lib_paths", "/tmp/x.so"),  # reason: code
                ("tensorrt", "trt_engine_decryption_lib_path", "/tmp/x.so"),  # reason: code
                ("tensorrt", "trt_engine_cache_path", "/etc"),  # reason: a folder that is written and read
                ("tensorrt", "trt_engine_cache_prefix", "../x"),  # reason: the same by another way
                ("tensorrt", "trt_dump_subgraphs", "1"),  # reason: writes where the server was started
                ("tensorrt", "trt_onnx_bytestream", "1"),  # reason: an address
                ("tensorrt", "int8_calibration_table_name", "../x"),  # reason: a file elsewhere
                ("cuda", "gpu_external_alloc", "1"),  # reason: a function to call, by its address
                ("cuda", "user_compute_stream", "1"),  # reason: an address
            )
        ),
        (options(tensorrt={"segment_size": "1"}), 0, EVERYTHING, InvalidModel, "'segment_size'"),  # reason: unknown
        (  # reason: one recording for all shapes gives wrong answers
            options(tensorrt={"trt_cuda_graph_enable": "True"}),
            0,
            EVERYTHING,
            InvalidModel,
            "write enable_cuda_graph for the accelerator cuda",
        ),
    ],
)
def test_what_cannot_be_had_is_named(
    asked: BackendOptions, index: int | None, available: tuple[str, ...], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        choose_providers(asked, index, available)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (options(), False),  # reason: nobody asks
        (options(cuda={"enable_cuda_graph": "1"}), True),  # reason: ONNX Runtime's yes
        (options(cuda={"enable_cuda_graph": "True"}), True),  # reason: its other yes
        (options(cuda={"enable_cuda_graph": "0"}), False),  # reason: said, and no
        (options(tensorrt={"enable_cuda_graph": "1"}), False),  # reason: not CUDA's provider
    ],
)
def test_who_asks_for_graphs(asked: BackendOptions, expected: bool) -> None:
    assert asks_for_graphs(asked.accelerators) is expected
