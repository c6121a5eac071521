"""Which settings of the peers are tried, and the files that say them. Pure but for the writing."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SetUp:
    """One way of running the same model on a peer."""

    name: str
    """Of the model; the row is called after server and model."""
    style: str
    """`tuned` or `plain`, as in `pipeline`; `tensors` for the bare network."""
    instances: int
    threads: int
    max_batch: int = 1

    def said(self) -> str:
        """For people."""
        style = {
            "tuned": "libjpeg-turbo, pixels scaled in the graph",
            "plain": "OpenCV decodes, a blob of floats goes in",
            "tensors": "ONNX Runtime",
        }[self.style]
        batching = f", dynamic batching up to {self.max_batch}" if self.max_batch > 1 else ""
        return f"{self.instances} x {self.threads} threads, core pinning off{batching}; {style}"


def triton_set_ups(cores: int) -> tuple[SetUp, ...]:
    """Those that are worth trying on so many cores."""
    return (
        SetUp("tuned", "tuned", cores, 1),
        SetUp("tuned_one", "tuned", 1, cores),
        SetUp("tuned_batching", "tuned", cores, 1, max_batch=8),
        SetUp("plain", "plain", cores, 1),
    )


def triton_tensors(cores: int) -> SetUp:
    """The bare network on ONNX Runtime."""
    return SetUp("tensors", "tensors", cores, 1)


def mlserver_set_ups(cores: int) -> tuple[SetUp, ...]:
    """MLServer batches only what arrives as tensors of one size, so not images."""
    return (
        SetUp("tuned", "tuned", cores, 1),
        SetUp("tuned_one", "tuned", 1, cores),
        SetUp("plain_one", "plain", 1, cores),
    )


def triton_config(set_up: SetUp, artefact: Path, side: int) -> str:
    """Its config.pbtxt."""
    said = {"style": set_up.style, "threads": set_up.threads, "side": side, "artefact": artefact}
    if set_up.style == "tensors":
        tensors = (
            f'input [{{ name: "images" data_type: TYPE_FP32 dims: [3, {side}, {side}] }}]\n'
            'output [{ name: "output0" data_type: TYPE_FP32 dims: [-1, -1] }]\n'
        )
    else:
        tensors = (
            'input [{ name: "image" data_type: TYPE_STRING dims: [1] }]\n'
            'output [{ name: "detections" data_type: TYPE_FP32 dims: [-1, 6] }]\n'
        )
    parameters = "".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n' for key, value in said.items()
    )
    batching = "dynamic_batching { }\n" if set_up.max_batch > 1 else ""
    return (
        f'name: "{set_up.name}"\nbackend: "python"\nmax_batch_size: {set_up.max_batch}\n{tensors}'
        f"instance_group [{{ count: {set_up.instances} kind: KIND_CPU }}]\n{batching}{parameters}"
    )


def write_triton_repository(repository: Path, models: dict[SetUp, Path], side: int) -> None:
    """Writes a repository with a model for each set-up, over the artefact beside it."""
    for set_up, artefact in models.items():
        version = repository / set_up.name / "1"
        version.mkdir(parents=True)
        (version.parent / "config.pbtxt").write_text(triton_config(set_up, artefact, side), encoding="utf-8")
        shutil.copyfile(_HERE / "triton_model.py", version / "model.py")
        shutil.copyfile(_HERE / "pipeline.py", version / "pipeline.py")  # Triton looks for modules there


def write_mlserver_folder(
    folder: Path, set_ups: tuple[SetUp, ...], artefact: Path, side: int, ports: list[int]
) -> None:
    """Writes MLServer's settings, and a model for each set-up.

    Args:
        folder: Of the server.
        set_ups: Those to serve.
        artefact: An OpenVINO IR.
        side: Of its input.
        ports: For gRPC, HTTP and metrics.
    """
    grpc_port, http_port, metrics_port = ports
    server = {
        "debug": False,
        "host": "127.0.0.1",
        "grpc_port": grpc_port,
        "http_port": http_port,
        "metrics_port": metrics_port,
        "parallel_workers": 0,
        "grpc_max_message_length": 50_000_000,
    }
    (folder / "settings.json").write_text(json.dumps(server), encoding="utf-8")
    for set_up in set_ups:
        extra = {
            "style": set_up.style,
            "instances": set_up.instances,
            "threads": set_up.threads,
            "side": side,
            "artefact": str(artefact),
        }
        model = {
            "name": set_up.name,
            "implementation": "mlserver_runtime.DetectRuntime",
            "parameters": {"version": "1", "extra": extra},
        }
        (folder / set_up.name).mkdir()
        (folder / set_up.name / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
