"""What must be decided before an artefact is opened: which backend, which file, how many instances and threads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pasarela_proto import model_config_pb2
from pasarela_server.config.artefacts import find_artefact
from pasarela_server.config.model import AllVersions, InstanceKind, Latest, Specific, VersionPolicy
from pasarela_server.errors import InvalidModel

DETECTION = "detection"
SUPPRESSION = "nms"
RUNS_ANOTHER = (DETECTION, SUPPRESSION)
"""Backends of models that run another model instead of an artefact of their own."""
_PLATFORMS = {"onnxruntime_onnx": "onnxruntime", "pytorch_libtorch": "pytorch"}


_INSTANCES_ON_A_GPU = 2


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How to open a model's artefact."""

    name: str
    backend: str
    artefact: str
    """File in the version's folder, or in a sub-folder of it: a path with `/`."""
    instance_kind: InstanceKind
    """CPU or GPU."""
    instance_count: int
    threads_per_instance: int
    device: str = ""
    """As the backend calls it; empty for its default."""
    gpu: int | None = None
    """As the instance group names it."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    accelerators: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By name, the parameters of each accelerator on the GPU."""
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    """For people: what was chosen, and why."""


def check_name(written: model_config_pb2.ModelConfig, folder: str, source: str) -> None:
    """Refuses a name that differs from the folder's.

    Raises:
        InvalidModel: They differ.
    """
    if written.name and written.name != folder:
        raise InvalidModel(
            f"{source}: name is {written.name!r}, but the model's folder is called {folder!r}; "
            "make them equal, or leave the name out"
        )


def written_backend(written: model_config_pb2.ModelConfig, source: str) -> str | None:
    """The backend that a configuration names, by `backend` or by the older `platform`; None if by neither.

    Raises:
        InvalidModel: The platform is none of a backend here, or of another than the one named.
    """
    if not written.platform:
        return written.backend or None
    by_platform = _PLATFORMS.get(written.platform)
    if by_platform is None:
        raise InvalidModel(
            f"{source}: platform {written.platform!r} is not supported; remove it and name a backend, "
            f"or write one of {', '.join(_PLATFORMS)}"
        )
    if written.backend and written.backend != by_platform:
        raise InvalidModel(
            f"{source}: backend {written.backend!r} and platform {written.platform!r} disagree; remove the platform"
        )
    return by_platform


def version_policy(written: model_config_pb2.ModelConfig, source: str) -> VersionPolicy:
    """The version policy that a configuration asks for; the latest one if it says nothing.

    Raises:
        InvalidModel: `specific` without versions, or with one that is no positive number.
    """
    policy = written.version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return AllVersions()
        case "specific":
            if not policy.specific.versions or min(policy.specific.versions) < 1:
                raise InvalidModel(f"{source}: version_policy.specific needs versions, positive whole numbers")
            return Specific(frozenset(policy.specific.versions))
        case _:
            return Latest(policy.latest.num_versions or 1)


def plan_load(
    written: model_config_pb2.ModelConfig,
    folder: str,
    files: Collection[str],
    artefacts: Mapping[str, str],
    cores: int,
    source: str,
) -> LoadPlan:
    """Plans how to load one version of a raw model.

    Args:
        written: Its configuration; an empty one if there is no config.pbtxt.
        folder: The name of the model's folder.
        files: The files in the version's folder: relative paths with `/`, sub-folders one level deep.
        artefacts: By backend, the usual name of the file that it loads.
        cores: Cores to plan with.
        source: What messages call the configuration.

    Raises:
        InvalidModel: The backend is unknown, the model file cannot be told from the files, or an instance group asks
            for something that cannot be done.
    """
    check_name(written, folder, source)
    backend = written_backend(written, source)
    if backend is not None and backend not in artefacts:
        raise InvalidModel(f"{source}: there is no backend {backend!r}; there are {', '.join(_backends(artefacts))}")
    _check_filename(written.default_model_filename, source)
    found = find_artefact(files, artefacts, backend, written.default_model_filename, f"model {folder!r}")
    usual = (artefacts.get(found.backend), written.default_model_filename)
    parameters = {key: value.string_value for key, value in written.parameters.items()}
    kind, count, gpu = _instance_group(written, source)
    accelerators = _accelerators(written, found.backend, source)
    if accelerators and kind is InstanceKind.AUTO and "device" not in parameters:
        kind = InstanceKind.GPU
    kind = _device_kind(kind, parameters.get("device"), source)
    instances, threads, why = choose_instances(kind, count, cores)
    return LoadPlan(
        name=folder,
        backend=found.backend,
        artefact=found.path,
        instance_kind=kind,
        instance_count=instances,
        threads_per_instance=threads,
        device=parameters.get("device") or _device(kind, gpu, found.backend),
        gpu=gpu,
        parameters=parameters,
        accelerators=accelerators,
        input_names=tuple(tensor.name for tensor in written.input),
        output_names=tuple(tensor.name for tensor in written.output),
        decisions=(why,) if found.path in usual else (f"model file: {found.path}", why),
    )


def choose_instances(kind: InstanceKind, count: int, cores: int) -> tuple[int, int, str]:
    """Chooses instances and threads of each.

    On a CPU, streams that run side by side deliver more than one with many threads, and more than batches do: one
    thread each, as many as there are cores. A GPU is kept busy by two: one copies while the other computes.

    Args:
        kind: Where the instances run.
        count: How many are written; 0 if none is.
        cores: Cores to plan with.

    Returns:
        Instances, threads of each, and the reason for people.
    """
    if kind is InstanceKind.GPU:
        instances = count or _INSTANCES_ON_A_GPU
        reason = "as written" if count else "one copies while the other computes"
        return instances, 1, f"instances: {instances} on the GPU, {reason}"
    instances = count or cores
    threads = max(1, cores // instances)
    reason = "as written" if count else "one a core"
    return instances, threads, f"instances: {instances} with {_plural(threads, 'thread')} each, {reason}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _backends(artefacts: Mapping[str, str]) -> list[str]:
    return [*sorted(artefacts), *RUNS_ANOTHER]


def _check_filename(name: str, source: str) -> None:
    """Refuses what leads out of the version's folder, or deeper than the folder that an exporter makes."""
    path = PurePosixPath(name)
    if len(path.parts) > 2 or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise InvalidModel(
            f"{source}: default_model_filename {name!r} must be a file name, not a path that leads elsewhere "
            "(a folder in the version's folder may stand before it)"
        )


def _device_kind(kind: InstanceKind, device: str | None, source: str) -> InstanceKind:
    """Where instances run: as the group says, else as the parameter `device` does, else on the CPU."""
    if device is None:
        return InstanceKind.CPU if kind is InstanceKind.AUTO else kind
    named = InstanceKind.GPU if device.lower().startswith(("gpu", "cuda")) else InstanceKind.CPU
    if kind not in (InstanceKind.AUTO, named):
        raise InvalidModel(f"{source}: instance_group.kind {kind.value} and parameter device {device!r} disagree")
    return named


def _accelerators(written: model_config_pb2.ModelConfig, backend: str, source: str) -> Mapping[str, Mapping[str, str]]:
    """The accelerators on the GPU; only ONNX Runtime has any.

    Raises:
        InvalidModel: Another backend is asked for one, or one is named twice.
    """
    asked = written.optimization.execution_accelerators.gpu_execution_accelerator
    if asked and backend != "onnxruntime":
        raise InvalidModel(
            f"{source}: gpu_execution_accelerator is for the backend onnxruntime, this model's is {backend}; remove it"
        )
    accelerators = {accelerator.name: dict(accelerator.parameters) for accelerator in asked}
    if len(accelerators) < len(asked):
        raise InvalidModel(f"{source}: an accelerator is named twice in gpu_execution_accelerator; leave one")
    return accelerators


def _instance_group(written: model_config_pb2.ModelConfig, source: str) -> tuple[InstanceKind, int, int | None]:
    """Kind, count (0: none is written) and GPU (None: the first) of all groups together.

    Raises:
        InvalidModel: Groups differ in kind or GPU, or ask for more than one GPU: a model runs on one device.
    """
    groups = written.instance_group
    if not groups:
        return InstanceKind.AUTO, 0, None
    for group in groups:
        if group.count < 0:
            raise InvalidModel(f"{source}: instance_group.count is {group.count}; it must be positive")
    kinds = {_kind(group) for group in groups}
    gpus = {index for group in groups for index in group.gpus}
    if len(kinds) > 1 or len(gpus) > 1:
        raise InvalidModel(
            f"{source}: the instance groups name {' and '.join(sorted(kind.value for kind in kinds))}"
            + (f" on the GPUs {sorted(gpus)}" if gpus else "")
            + "; Pasarela runs a model on one device: leave one kind and at most one GPU"
        )
    (kind,) = kinds
    if gpus and (kind is InstanceKind.CPU or min(gpus) < 0):
        raise InvalidModel(f"{source}: instance_group.gpus is {sorted(gpus)}, which does not go with {kind.value}")
    if gpus and kind is InstanceKind.AUTO:
        kind = InstanceKind.GPU
    counted = sum(group.count or 1 for group in groups) if len(groups) > 1 else groups[0].count
    return kind, counted, min(gpus, default=None)


def _kind(group: model_config_pb2.ModelInstanceGroup) -> InstanceKind:
    """KIND_MODEL leaves the device to the backend, as KIND_AUTO does."""
    if group.kind == model_config_pb2.ModelInstanceGroup.KIND_MODEL:
        return InstanceKind.AUTO
    return InstanceKind(model_config_pb2.ModelInstanceGroup.Kind.Name(group.kind))


def _device(kind: InstanceKind, gpu: int | None, backend: str) -> str:
    """What the backend calls the device; empty where the parameter `device` or its default says it."""
    if kind is not InstanceKind.GPU:
        return ""
    if gpu is None:
        return "gpu"
    return f"GPU.{gpu}" if backend == "openvino" else f"cuda:{gpu}"
