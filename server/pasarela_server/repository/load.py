"""Loads one version of a raw model: open the artefact, complete the configuration, warm up, start the scheduler."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pasarela_server.backends.base import ArtefactSpec, BackendLoader, BackendOptions, RecoveringBackend
from pasarela_server.backends.isolation.backend import IsolatedLoader
from pasarela_server.backends.outputs import OutputCheck
from pasarela_server.config.complete import complete, default_max_batch_size
from pasarela_server.config.model import BatchingConfig, InstanceKind, ModelConfig
from pasarela_server.config.pbtxt import WrittenConfig
from pasarela_server.config.plan import LoadPlan, plan_load
from pasarela_server.config.warmup import read_warmup
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.desired import DesiredModel
from pasarela_server.repository.files import list_files
from pasarela_server.repository.isolation import NOT_ISOLATED, Isolation
from pasarela_server.repository.labels import read_labels
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.raw import RawServable
from pasarela_server.repository.servable import Loaded
from pasarela_server.repository.warmup import warm_up
from pasarela_server.scheduling.cores import UNBOUNDED, CoreBudget
from pasarela_server.scheduling.execution import OnExecution, nobody_listens
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.queue import QueuePolicy
from pasarela_server.scheduling.scheduler import Rescue, Scheduler, Small


def load_raw(
    desired: DesiredModel,
    number: int,
    folder: Path,
    loaders: Mapping[str, BackendLoader],
    cpu_threads: int,
    pool: Executor,
    limits: ImageLimits,
    on_execution: OnExecution = nobody_listens,
    budget: CoreBudget | None = None,
    cache_folder: Path | None = None,
    isolation: Isolation = NOT_ISOLATED,
    changed: Callable[[], None] = lambda: None,
) -> Loaded:
    """Loads one version. Blocks; leaves nothing behind if it fails.

    Args:
        desired: The model, its configuration as written.
        number: The version.
        folder: The version's folder.
        loaders: By backend name.
        cpu_threads: Cores to plan with.
        pool: Runs the work on pixels.
        limits: Bounds on images.
        on_execution: Told of each batch; see `OnExecution`.
        budget: The cores that models on the CPU share; None lets each use its own.
        cache_folder: Where backends may keep what they made of artefacts.
        isolation: Where its backend runs, and how long an inference may take.
        changed: Told, on any thread, when the version has become able, or unable, to answer; it must not block.

    Raises:
        BackendMissing: The framework is not installed.
        InvalidModel: Configuration or artefact cannot be served.
    """
    artefacts = {name: loader.artefact for name, loader in loaders.items()}
    files = list_files(folder)
    plan = plan_load(desired.written, desired.name, files, artefacts, cpu_threads, desired.source)
    options = replace(backend_options(plan, desired.written, cache_folder), timeout_s=isolation.timeout_s)
    on_gpu = plan.instance_kind is InstanceKind.GPU
    with ExitStack() as undo:
        loader = loaders[plan.backend]
        isolated = isolation.applies(plan.parameters, desired.source)
        if isolated:
            loader = IsolatedLoader(loader, desired.name, isolation.log)
        backend = loader.load(folder / plan.artefact, options)
        undo.callback(backend.close)
        completed = complete(desired.written, backend.spec, plan, desired.source)
        config = completed.config
        detector = _detector(config, backend.spec, desired)
        labels = {
            output: read_labels(desired.folder, filename, desired.source)
            for output, filename in config.label_filenames.items()
        }
        samples = read_warmup(desired.written, config.inputs, config.max_batch_size, desired.source)
        outputs = OutputCheck(config.name, config.outputs, batched=config.max_batch_size > 0)
        sessions = [backend.session() for _ in range(config.instance_count)]
        warm = warm_up(
            config,
            sessions,
            None if isinstance(detector, str) else detector,
            samples,
            desired.folder,
            artefact=backend.spec,
            outputs=outputs,
        )
        scheduler = Scheduler(
            config.name,
            sessions,
            batching_policy(config),
            batched=config.max_batch_size > 0,
            on_execution=on_execution,
            levels=queue_policies(config),
            default_level=config.dynamic_batching.default_priority_level or 1 if config.dynamic_batching else 1,
            in_order=config.dynamic_batching is not None and config.dynamic_batching.preserve_ordering,
            cores=UNBOUNDED if budget is None or on_gpu else budget.share(plan.threads_per_instance),
            # What may hang must not do so on the event loop.
            small=None if on_gpu or isolated or isolation.timeout_s else Small(),
            budget=None if on_gpu else budget,
            outputs=outputs,
            rescue=None
            if isolated or isolation.timeout_s is None
            else Rescue(isolation.timeout_s, backend.session, changed),
        )
        if isinstance(backend, RecoveringBackend):
            backend.follow(changed)
        scheduler.start()
        undo.pop_all()
    servable = RawServable(config, number, backend, scheduler, detector, pool, limits, labels, cpu_threads)
    return Loaded(servable, (backend.description, *completed.decisions, warm, _detects(detector)))


def backend_options(plan: LoadPlan, written: WrittenConfig, cache_folder: Path | None = None) -> BackendOptions:
    """How a backend is told to open a model's artefact. Pure.

    Args:
        plan: What was decided before the artefact is opened.
        written: The model's configuration.
        cache_folder: Where backends may keep compiled models.
    """
    return BackendOptions(
        instances=plan.instance_count,
        threads=plan.threads_per_instance,
        parameters={**plan.parameters, **({"device": plan.device} if plan.device else {})},
        input_names=plan.input_names,
        output_names=plan.output_names,
        accelerators=plan.accelerators,
        cache_folder=cache_folder,
        max_rows=max(written.max_batch_size, 0) or default_max_batch_size(plan.instance_kind),
    )


def batching_policy(config: ModelConfig) -> BatchingPolicy:
    """When the scheduler closes a batch, from a model's configuration. Pure."""
    batching = config.dynamic_batching
    max_rows = max(1, config.max_batch_size)
    if batching is None:
        return BatchingPolicy(max_rows=max_rows, merge=False)
    return BatchingPolicy(
        max_rows=max_rows,
        preferred_rows=batching.preferred_batch_sizes,
        max_queue_delay_s=batching.max_queue_delay_us / 1e6,
    )


def queue_policies(config: ModelConfig) -> tuple[QueuePolicy, ...]:
    """How requests wait, by priority level. Pure."""
    batching = config.dynamic_batching or BatchingConfig()
    queues = [batching.queues.get(level + 1, batching.queue) for level in range(max(1, batching.priority_levels))]
    return tuple(
        QueuePolicy(
            max_requests=queue.max_requests,
            timeout_s=queue.timeout_us / 1e6 if queue.timeout_us else math.inf,
            delay_on_timeout=queue.delays,
        )
        for queue in queues
    )


def _detector(config: ModelConfig, artefact: ArtefactSpec, desired: DesiredModel) -> YoloDetector | str:
    """What makes a detector of the model; or why it is none."""
    # The written shape may be narrower than the artefact's: the detector has to send what the door lets pass.
    spec = replace(artefact, inputs=config.inputs)
    for filename in config.label_filenames.values():
        spec = replace(spec, metadata={**spec.metadata, "names": _labels(desired, filename, spec)})
    try:
        detector = YoloDetector.from_spec(spec)
    except InvalidModel as error:
        return str(error)
    if detector is None:
        return "its artefact carries no detection metadata (task: detect)"
    return detector


def _labels(desired: DesiredModel, filename: str, spec: ArtefactSpec) -> dict[int, str]:
    labels = read_labels(desired.folder, filename, desired.source)
    names = spec.metadata.get("names")
    if isinstance(names, Mapping | Sequence) and len(names) != len(labels):
        raise InvalidModel(
            f"{desired.source}: label_filename {filename!r} has {len(labels)} names, the model file has {len(names)}"
        )
    return dict(enumerate(labels))


def _detects(detector: YoloDetector | str) -> str:
    if isinstance(detector, str):
        return f"no detector: {detector}"
    height, width = detector.image_size
    rest = f", one image of {detector.rows} (the batch is fixed; export with dynamic=True)" if detector.rows > 1 else ""
    return f"detects {len(detector.names)} classes at {width}x{height}{rest}"
