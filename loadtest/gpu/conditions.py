"""What a measurement on a GPU was taken with."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

import grpc

_QUERY = "name,driver_version,memory.total,pcie.link.gen.current,pcie.link.width.current"


def conditions(torch: Any) -> dict[str, str]:
    """Card, driver, processor and versions, for people."""
    asked = subprocess.run(
        ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    return {
        "card": asked.stdout.strip().splitlines()[0] if asked.stdout.strip() else torch.cuda.get_device_name(0),
        "processor": f"{len(os.sched_getaffinity(0))} cores, {_processor()}",
        "software": f"Python {platform.python_version()}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}, "
        f"cuDNN {torch.backends.cudnn.version()}, grpcio {grpc.__version__}",
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()
