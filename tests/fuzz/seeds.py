"""Inputs that begin well: a fuzzer gets further from them than from nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from pasarela_proto import inference_pb2

ROOT = Path(__file__).resolve().parents[2]
_CONFIG = """
name: "m"
backend: "onnxruntime"
max_batch_size: 8
input { name: "images" data_type: TYPE_FP32 dims: [3, 320, 320] }
output { name: "output0" data_type: TYPE_FP32 dims: [17, 2100] label_filename: "labels.txt" }
instance_group { count: 2 kind: KIND_CPU }
dynamic_batching { preferred_batch_size: [4] max_queue_delay_microseconds: 100 priority_levels: 2 default_priority_level: 1
  default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 5 allow_timeout_override: true max_queue_size: 9 } }
version_policy { specific { versions: [1, 2] } }
model_warmup { name: "w" batch_size: 1 inputs { key: "images" value { data_type: TYPE_FP32 dims: [3, 320, 320] zero_data: true } } }
parameters { key: "precision" value { string_value: "f32" } }
"""


def seeds() -> Mapping[str, list[bytes]]:
    """By target, a few inputs that are accepted, or nearly."""
    return {
        "wire": list(_messages()),
        "request": [bytes(range(256)), bytes(64), b"\xff" * 64],
        "tensor": [b"\x00\x02\x02\x03" + np.arange(6, dtype=np.float32).tobytes(), b"\x0c\x01\x02\x02\0\0\0ab\0\0\0\0"],
        "config": [_CONFIG.encode(), *_configs(), b'{"name": "m", "max_batch_size": 4, "backend": "onnxruntime"}'],
        "image": list(_images()),
        "frames": [bytes(range(200)), b"\x06" + bytes(120)],
    }


def _messages() -> Iterator[bytes]:
    message = inference_pb2.ModelInferRequest(model_name="m", id="7")
    message.parameters["timeout"].int64_param = 5
    message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    message.outputs.add(name="y")
    yield message.SerializeToString()
    message.raw_input_contents.append(np.float32([1, 2]).tobytes())
    yield message.SerializeToString()
    message.inputs.add(name="t", datatype="BYTES", shape=[1])
    message.raw_input_contents.append(b"\x01\0\0\0a")
    yield message.SerializeToString()


def _configs() -> Iterator[bytes]:
    for path in sorted((ROOT / "model_repository").glob("*/config.pbtxt")):
        yield path.read_bytes()


def _images() -> Iterator[bytes]:
    pixels = np.arange(20 * 12 * 3, dtype=np.uint8).reshape(12, 20, 3)
    for kind, mode in (
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("WEBP", "RGB"),
        ("BMP", "RGB"),
    ):
        file = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(file, kind)
        yield file.getvalue()
    turned = Image.fromarray(pixels)
    exif = turned.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "JPEG", exif=exif)
    yield file.getvalue()
