"""Under which conditions was it measured? Only measurements with equal conditions may be used together."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pasarela_server.repository.desired import DesiredModel
from pasarela_server.repository.fingerprint import Digests, mark_files
from pasarela_server.tuning.orders import Job
from pasarela_server.tuning.requests import IMAGE_SUFFIXES

_CPU = Path("/proc/cpuinfo")
_MEMORY = Path("/proc/meminfo")
_GPUS = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
_GPU_LIMIT_S = 20.0
_FLAGS = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8",
    "amx_bf16", "amx_fp16", "asimd", "sve",
)  # fmt: skip
"""What decides how fast a processor computes a network."""
_PACKAGES = (
    "pasarela-server", "numpy", "opencv-python-headless", "simplejpeg", "pillow", "openvino", "onnxruntime",
    "onnxruntime-gpu", "torch",
)  # fmt: skip

Conditions = Mapping[str, Mapping[str, Any]]
"""By subject (hardware, software, model, requests), what was so."""


def read_conditions(job: Job, desired: DesiredModel) -> Conditions:
    """The conditions of a job here and now.

    Args:
        job: What will be measured.
        desired: Its model.

    Raises:
        OSError: A file of the model, or an image, cannot be read.
    """
    digests, folder = Digests(), desired.versions[job.version]
    images = None if job.images is None else digests.of(job.images, mark_files(job.images, _image_names(job.images)))
    return {
        "hardware": {
            "cpu": cpu_name(_read(_CPU)),
            "flags": [flag for flag in _FLAGS if flag in cpu_flags(_read(_CPU))],
            "cores": job.cpu_threads,
            "memory_gib": memory_gib(_read(_MEMORY)),
            "gpus": _gpus(),
        },
        "software": {"python": platform.python_version(), **_versions()},
        "model": {
            "name": job.model,
            "version": job.version,
            "files": digest(dict(digests.of(folder, mark_files(folder)))),
            "configuration": digest(desired.written.SerializeToString(deterministic=True).hex()),
        },
        "requests": {
            "kind": "tensors" if job.tensors else "images for a detector, else tensors",
            "images": "generated" if images is None else digest(dict(images)),
        },
    }


def fingerprint(conditions: Conditions) -> str:
    """A short text that is the same for the same conditions only."""
    return digest(conditions)[:12]


def differences(before: Conditions, now: Conditions) -> tuple[str, ...]:
    """What has changed, a line each."""
    lines = []
    for subject in sorted({*before, *now}):
        old, new = before.get(subject, {}), now.get(subject, {})
        lines += [
            f"{subject}, {name}: {old.get(name, 'nothing')!s} then, {new.get(name, 'nothing')!s} now"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    return tuple(lines)


def digest(content: Any) -> str:
    """A text that stands for a content that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def cpu_name(cpuinfo: str) -> str:
    """The processor's name out of /proc/cpuinfo; what the platform calls it if that is not there."""
    return _values(cpuinfo, "model name") or platform.processor() or platform.machine()


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """What the processor can do, out of /proc/cpuinfo."""
    return frozenset((_values(cpuinfo, "flags") or _values(cpuinfo, "Features")).split())


def own_cpu_flags() -> frozenset[str]:
    """What the processor of this machine can do; empty where nothing says it."""
    return cpu_flags(_read(_CPU))


def memory_gib(meminfo: str) -> int:
    """All memory, out of /proc/meminfo; 0 if it is not there."""
    kib = _values(meminfo, "MemTotal").partition(" ")[0]
    return round(int(kib) / 2**20) if kib.isdecimal() else 0


def _values(text: str, key: str) -> str:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == key:
            return value.strip()
    return ""


def _image_names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _gpus() -> list[str]:
    try:
        said = subprocess.run(_GPUS, capture_output=True, text=True, check=True, timeout=_GPU_LIMIT_S).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.splitlines() if line.strip()]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
