"""Completes a raw model's configuration from its artefact, and checks what is written against it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pasarela_proto import model_config_pb2
from pasarela_server.config.batching import read_batching
from pasarela_server.config.model import BatchingConfig, InstanceKind, ModelConfig
from pasarela_server.config.plan import LoadPlan, version_policy
from pasarela_server.config.tensors import check_rank, complete_tensors
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import TensorSpec

DEFAULT_MAX_BATCH_SIZE = 4
DEFAULT_GPU_MAX_BATCH_SIZE = 32
_CLIENT_METADATA = ("stride", "names", "task", "batch", "channels", "imgsz", "args", "end2end", "description")


class Artefact(Protocol):
    """What an artefact says of itself."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Whole shapes."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Whole shapes."""
        ...

    @property
    def batched(self) -> bool:
        """True if the first dimension of every input and output varies."""
        ...

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the exporter wrote into it."""
        ...


@dataclass(frozen=True, slots=True)
class Completed:
    """A complete configuration, and what was decided on the way, for people."""

    config: ModelConfig
    decisions: tuple[str, ...]


def complete(written: model_config_pb2.ModelConfig, artefact: Artefact, plan: LoadPlan, source: str) -> Completed:
    """Fills in what a configuration leaves out; checks the rest against the artefact.

    Unlike in Triton, writing inputs and outputs does not switch off the completion of batching.

    Args:
        written: The configuration; an empty one if there is no config.pbtxt.
        artefact: What the loaded artefact says.
        plan: What was decided before it was loaded.
        source: What messages call the configuration.

    Raises:
        InvalidModel: The configuration and the artefact disagree; the message names tensor, expected and actual.
    """
    max_batch_size, why = _max_batch_size(written, artefact, plan.instance_kind, source)
    batched = max_batch_size > 0
    batching = _dynamic_batching(written, max_batch_size, plan.instance_kind, why, source)
    inputs = complete_tensors("input", written.input, artefact.inputs, batched=batched, source=source)
    outputs = complete_tensors("output", written.output, artefact.outputs, batched=batched, source=source)
    group = written.instance_group[0] if written.instance_group else model_config_pb2.ModelInstanceGroup()
    config = ModelConfig(
        name=plan.name,
        backend=plan.backend,
        platform=written.platform,
        max_batch_size=max_batch_size,
        inputs=inputs,
        outputs=outputs,
        instance_name=group.name,
        instance_kind=plan.instance_kind,
        instance_gpu=plan.gpu,
        instance_count=plan.instance_count,
        threads_per_instance=plan.threads_per_instance,
        dynamic_batching=batching,
        version_policy=version_policy(written, source),
        artefact=plan.artefact,
        parameters=_parameters(plan.parameters, artefact.metadata),
        label_filenames={tensor.name: tensor.label_filename for tensor in written.output if tensor.label_filename},
        input_formats={
            tensor.name: model_config_pb2.ModelInput.Format.Name(tensor.format)
            for tensor in written.input
            if tensor.format
        },
    )
    return Completed(config, (*plan.decisions, why, *_merging(written, config)))


def _max_batch_size(
    written: model_config_pb2.ModelConfig, artefact: Artefact, kind: InstanceKind, source: str
) -> tuple[int, str]:
    """Rows of a batch (0: no batch dimension), and why."""
    obstacle = None if artefact.batched else _obstacle((*artefact.inputs, *artefact.outputs))
    limit = _suppressed_rows(artefact.metadata)
    if written.max_batch_size < 0:
        raise InvalidModel(f"{source}: max_batch_size is {written.max_batch_size}; it must be 0 or more")
    if written.max_batch_size > 0:
        if obstacle:
            raise InvalidModel(
                f"{source}: max_batch_size is {written.max_batch_size}, but {obstacle}; export the model with a "
                "dynamic batch (dynamic=True in Ultralytics), or remove max_batch_size"
            )
        if limit is not None and written.max_batch_size > limit:
            raise InvalidModel(
                f"{source}: max_batch_size is {written.max_batch_size}, but the model was exported with nms=True for "
                f"{_rows(limit)} and answers nothing for more; export it with batch={written.max_batch_size}, or write "
                f"max_batch_size: {limit}"
            )
        return written.max_batch_size, f"batching: up to {_rows(written.max_batch_size)}, as written"
    if obstacle:
        return 0, f"no batching: {obstacle}"
    whole = check_rank(written, artefact.inputs, artefact.outputs, source)
    if whole:
        return (
            0,
            f"no batching: the dims written for {whole!r} hold the first dimension, and max_batch_size is not written",
        )
    default = default_max_batch_size(kind)
    if limit is not None and limit < default:
        return limit, f"batching: up to {_rows(limit)}, because nms=True was exported for no more"
    return default, (
        f"batching: up to {default} rows, because the first dimension of every input and output varies "
        "and max_batch_size is not written"
    )


def _suppressed_rows(metadata: Mapping[str, object]) -> int | None:
    """How many rows a network suppresses that Ultralytics exported with `nms=True`; None if it does not suppress.

    Its input may take more rows: it answers them with nothing, which looks like an image without objects.
    """
    args = metadata.get("args")
    if not isinstance(args, Mapping) or not args.get("nms"):
        return None
    rows = args.get("batch", metadata.get("batch"))
    return rows if isinstance(rows, int) and rows > 0 else 1


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _obstacle(tensors: Sequence[TensorSpec]) -> str:
    """Why rows of these tensors cannot be batched."""
    for tensor in tensors:
        if not tensor.shape:
            return f"{tensor.name!r} is a scalar"
        if tensor.shape[0] != -1:
            return f"the first dimension of {tensor.name!r} is fixed at {tensor.shape[0]}"
    return "the model file does not batch"


def default_max_batch_size(kind: InstanceKind) -> int:
    """Rows of a batch where the configuration does not say: on a GPU batches decide, on a CPU they only cost memory."""
    return DEFAULT_GPU_MAX_BATCH_SIZE if kind is InstanceKind.GPU else DEFAULT_MAX_BATCH_SIZE


def merges_by_default(kind: InstanceKind) -> bool:
    """Whether requests are merged into batches where the configuration does not say.

    On a GPU batches decide. On a CPU they cost: a batch occupies one instance while others idle. Measured with YOLOv9-t
    on OpenVINO, 2 instances and 16 clients, merging up to 4 rows took a sixth of the throughput.
    """
    return kind is InstanceKind.GPU


def _dynamic_batching(
    written: model_config_pb2.ModelConfig, max_batch_size: int, kind: InstanceKind, why: str, source: str
) -> BatchingConfig | None:
    asked = written.dynamic_batching
    is_written = written.HasField("dynamic_batching")
    if max_batch_size == 0 and is_written:
        raise InvalidModel(f"{source}: dynamic_batching is written, but the model cannot batch ({why}); remove it")
    if not (is_written or (max_batch_size > 1 and merges_by_default(kind))):
        return None
    return read_batching(asked, max_batch_size, source)


def _merging(written: model_config_pb2.ModelConfig, config: ModelConfig) -> tuple[str, ...]:
    """What becomes of requests that wait at the same time, for people."""
    if config.max_batch_size <= 1:
        return ()
    if config.dynamic_batching is None:
        why = "because on a CPU instances side by side deliver more; write dynamic_batching { } to merge them"
        return (f"requests are not merged, {why}",)
    return (f"requests are merged, {'as written' if written.HasField('dynamic_batching') else 'because it is a GPU'}",)


def _parameters(written: Mapping[str, str], metadata: Mapping[str, object]) -> dict[str, str]:
    """The written parameters and, unless it is one of them, the artefact's metadata as clients read it."""
    known = {key: metadata[key] for key in _CLIENT_METADATA if key in metadata}
    return {**({"metadata": repr(known)} if known else {}), **written}
