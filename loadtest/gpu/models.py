"""The model repository of a GPU benchmark: one network, served with several largest batches."""

from __future__ import annotations

import shutil
from pathlib import Path

_RAW = """backend: "pytorch"
max_batch_size: {rows}
instance_group {{ kind: KIND_GPU count: {instances} }}
{batching}
"""
_QUEUE = "dynamic_batching { default_queue_policy { max_queue_size: 4096 } }"
_DETECTION = 'backend: "detection"\n'
_PARAMETER = 'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def raw_name(rows: int) -> str:
    """The raw model with batches of up to so many rows."""
    return f"raw_{rows}"


def detection_name(rows: int) -> str:
    """The detection model over it."""
    return f"detect_{rows}"


def write_repository(
    artefact: Path, sizes: list[int], instances: int, parameters: dict[str, str], root: Path, jpeg_device: str = "cpu"
) -> None:
    """Writes a raw model and a detection model for each largest batch; with one row nothing is ever merged.

    Args:
        artefact: The TorchScript or torch.export archive.
        sizes: Rows of the largest batch.
        instances: Sessions of each model.
        parameters: More parameters of the raw models, as `precision`.
        root: An empty folder.
        jpeg_device: Where JPEGs are decoded.
    """
    for rows in sizes:
        raw, detection = root / raw_name(rows), root / detection_name(rows)
        (raw / "1").mkdir(parents=True)
        detection.mkdir()
        shutil.copyfile(artefact, raw / "1" / f"model{artefact.suffix}")
        written = _RAW.format(rows=rows, instances=instances, batching=_QUEUE)
        written += _parameters(parameters)
        (raw / "config.pbtxt").write_text(written, encoding="utf-8")
        (detection / "config.pbtxt").write_text(
            _DETECTION + _parameters({"model": raw.name, "jpeg_device": jpeg_device}), encoding="utf-8"
        )


def _parameters(values: dict[str, str]) -> str:
    return "".join(_PARAMETER.format(key=key, value=value) for key, value in values.items())
