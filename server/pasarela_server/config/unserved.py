"""Model files that no backend here runs: what each is, and the command that makes something which is served."""

from __future__ import annotations

from pathlib import PurePosixPath

_ONNX = "yolo export model=<checkpoint>.pt format=onnx dynamic=True"
_TORCHSCRIPT = "yolo export model=<checkpoint>.pt format=torchscript"
_REFUSED = {
    ".engine": ("a TensorRT engine, made for one GPU and one version of TensorRT", _ONNX),
    ".plan": ("a TensorRT engine, made for one GPU and one version of TensorRT", _ONNX),
    "saved_model.pb": ("a TensorFlow SavedModel", _ONNX),
    "_saved_model": ("a TensorFlow SavedModel", _ONNX),
    ".pb": ("a TensorFlow graph", _ONNX),
    "_web_model": ("a TensorFlow.js model", _ONNX),
    ".tflite": ("a TensorFlow Lite model", _ONNX),
    ".keras": ("a Keras model", _ONNX),
    ".h5": ("a Keras model", _ONNX),
    ".mlpackage": ("a Core ML model, which runs on Apple devices only", _ONNX),
    ".mlmodel": ("a Core ML model, which runs on Apple devices only", _ONNX),
    ".aimodel": ("a Core AI model, which runs on Apple devices only", _ONNX),
    "_ncnn_model": ("an NCNN model", _ONNX),
    ".param": ("an NCNN model", _ONNX),
    "_paddle_model": ("a PaddlePaddle model", _ONNX),
    ".pdmodel": ("a PaddlePaddle model", _ONNX),
    ".pdiparams": ("a PaddlePaddle model", _ONNX),
    ".mnn": ("an MNN model", _ONNX),
    "_imx_model": ("a model for Sony IMX500 cameras", _ONNX),
    "_rknn_model": ("a model for Rockchip processors", _ONNX),
    ".rknn": ("a model for Rockchip processors", _ONNX),
    "_executorch_model": ("an ExecuTorch model", _ONNX),
    ".pte": ("an ExecuTorch model", _ONNX),
    "_axelera_model": ("a model for Axelera processors", _ONNX),
    "_deepx_model": ("a model for DEEPX processors", _ONNX),
    "_hailo_model": ("a model for Hailo processors", _ONNX),
    ".hef": ("a model for Hailo processors", _ONNX),
    "_qnn.onnx": ("an ONNX file compiled for Qualcomm processors", _ONNX),
    ".pth": ("a PyTorch checkpoint, which is a pickle and never loaded", _TORCHSCRIPT),
    ".ckpt": ("a PyTorch checkpoint, which is a pickle and never loaded", _TORCHSCRIPT),
    ".pkl": ("a pickle, which is never loaded", _TORCHSCRIPT),
    ".safetensors": ("weights without the network that they belong to", _ONNX),
}
"""By the end of a file's or folder's name: what it is, and the command that makes something which is served."""


def refusal(name: str) -> tuple[str, str] | None:
    """What a file is that is not served, and the command that makes something which is; by the longest ending."""
    top = PurePosixPath(name).parts[0]
    for ending in sorted(_REFUSED, key=len, reverse=True):
        if name.endswith(ending) or top.endswith(ending):
            return _REFUSED[ending]
    return None
