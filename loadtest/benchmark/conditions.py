"""What figures depend on: the machine and the software, without names or paths of either."""

from __future__ import annotations

import contextlib
import platform
import re
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from loadtest.benchmark.perf_analyzer import find_perf_analyzer
from pasarela_server.config.cores import available_cores

_PACKAGES = (
    "openvino", "onnxruntime", "torch", "grpcio", "protobuf", "numpy", "opencv-python-headless", "simplejpeg", "uvloop",
)  # fmt: skip
_LOOK_S = 1.0
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")


def conditions(images: Sequence[Path]) -> dict[str, Any]:
    """Those of this machine now; `busy_before` is how many cores others kept busy while it was looked at."""
    cpu, flags = read_cpu(Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else ("", set())
    return {
        "cpu": cpu or platform.processor() or platform.machine(),
        "instructions": [one for one in _INSTRUCTIONS if one in flags],
        "cores": available_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "images": describe_images(images),
        "generator": "perf_analyzer for tensors" if find_perf_analyzer() else "the project's own client throughout",
        "busy_before": round(psutil.cpu_percent(_LOOK_S) / 100 * (psutil.cpu_count() or 1), 2),
    }


def read_cpu(text: str) -> tuple[str, set[str]]:
    """Model name and flags out of `/proc/cpuinfo`."""
    name = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return (name[1].strip() if name else ""), set(flags[1].split() if flags else ())


def describe_images(paths: Sequence[Path]) -> str:
    """How many, and how large. Who sends broken ones means to see what the server says."""
    sizes = []
    for path in paths:
        # Pillow has no root of errors: what a file makes it stumble over decides.
        with (
            contextlib.suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError),
            Image.open(path) as image,
        ):
            sizes.append(image.size)
    if not sizes:
        return f"{len(paths)} files, none of which is a picture"
    width, height = (round(statistics.median(side)) for side in zip(*sizes, strict=True))
    weight = statistics.median(path.stat().st_size for path in paths) / 1e3
    return f"{len(paths)} JPEG pictures of about {width}×{height} pixels and {weight:.0f} kB"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
