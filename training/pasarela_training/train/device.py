"""Is there what `train.device` names?"""

from __future__ import annotations

from pasarela_training.errors import TrainingError


def usable_device(wanted: str) -> str:
    """What Ultralytics is told: `cpu`, or indices of GPUs.

    Args:
        wanted: `cpu`, `auto`, or indices of GPUs with commas.

    Raises:
        TrainingError: A GPU is named that PyTorch does not see.
    """
    if wanted == "cpu":
        return wanted
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "0" if there else "cpu"
    missing = [index for index in wanted.split(",") if int(index) >= there]
    if missing:
        seen = "no GPU" if not there else f"GPUs 0 to {there - 1}"
        raise TrainingError(
            f"train.device: {wanted} names GPU {', '.join(missing)}, and PyTorch sees {seen}; "
            f"write `device: auto` or `device: cpu`, or look at the driver with nvidia-smi"
        )
    return wanted
