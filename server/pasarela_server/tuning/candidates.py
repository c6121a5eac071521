"""Which settings are worth measuring for a model on a machine. Pure.

Not the whole grid: what is known not to pay is left out, and what would change what clients may send, or what they are
answered, is not touched unless it was allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pasarela_server.config.model import InstanceKind
from pasarela_server.config.plan import choose_instances
from pasarela_server.tuning.candidate import BASELINE, Candidate, Merge
from pasarela_server.tuning.subject import Subject

PRECISIONS = {"openvino": ("default", "f32", "bf16", "f16"), "pytorch": ("default", "f32", "f16", "bf16")}
"""By backend, the precisions that its parameter `precision` knows."""
_NATIVE = {"bf16": ("avx512_bf16", "amx_bf16", "amx-bf16"), "f16": ("avx512_fp16", "amx_fp16", "amx-fp16")}
"""The flags of processors that compute in a precision; elsewhere it is emulated, which never pays."""

_GPU_INSTANCES = (1, 2)
_GPU_ROWS = (32, 64, 128)
"""Largest batches to try."""
_GPU_DELAYS_US = (0, 2000)
_CPU_ROWS = 4
"""Rows of a batch on a CPU beyond which nothing was ever gained."""


def worth_measuring(
    subject: Subject, precisions: Sequence[str] = (), cpu_flags: Collection[str] = ()
) -> tuple[Candidate, ...]:
    """The candidates beside the configuration as it is, the most promising first; no two of them have the same effect.

    The first is what the server chooses by itself, if the configuration says something else.

    Args:
        subject: The model as it runs now.
        precisions: Those that may be tried beside its own, because whoever asks accepts what they do to the answers.
        cpu_flags: Of the processor.
    """
    found: dict[Candidate, Candidate] = {}
    ways = _on_gpu(subject) if subject.on_gpu else _on_cpu(subject)
    usable = [one for one in precisions if why_not(one, subject, cpu_flags) is None]
    for candidate in (*_defaults(subject), *_in_precisions(ways, usable)):
        effect = effect_of(candidate, subject)
        if effect != effect_of(BASELINE, subject):
            found.setdefault(effect, candidate)
    return tuple(found.values())


def why_not(precision: str, subject: Subject, cpu_flags: Collection[str]) -> str | None:
    """Why a precision is not tried; None if it is."""
    known = PRECISIONS.get(subject.backend, ())
    if precision not in known:
        return f"the backend {subject.backend} has no precision {precision!r}" + (
            f"; it has {', '.join(known)}" if known else " to choose"
        )
    if precision == _named(subject.precision):
        return "it is the one that is written"
    native = _NATIVE.get(precision)
    if native and not subject.on_gpu and not set(native) & set(cpu_flags):
        return "this processor does not compute in it"
    return None


def is_defaults(candidate: Candidate, subject: Subject) -> bool:
    """Whether a candidate is what the server chooses by itself, and not what is written."""
    return candidate in _defaults(subject)


def _defaults(subject: Subject) -> tuple[Candidate, ...]:
    """What the server does where nothing is written; none if that is how things are."""
    instances = 0 if subject.writes_instances else None
    merge = None
    if subject.writes_merge and subject.merge_may_go:
        merge = Merge() if subject.on_gpu else Merge(on=False)
    return () if instances is None and merge is None else (Candidate(instances=instances, merge=merge),)


def _on_cpu(subject: Subject) -> tuple[Candidate, ...]:
    counts = cpu_instances(subject.cores, leaves_cores=subject.detects)
    ways = [Candidate(instances=count) for count in counts]
    if subject.max_batch_size > 1 and not subject.row_by_row:
        rows = min(subject.max_batch_size, _CPU_ROWS)
        merge = Merge(preferred_rows=0 if rows == subject.max_batch_size else rows)
        ways += [Candidate(instances=count, merge=merge) for count in dict.fromkeys((counts[0], counts[-1]))]
    if subject.merge.on and subject.merge_may_go:
        ways += [Candidate(instances=count, merge=Merge(on=False)) for count in counts]
    return tuple(ways)


def cpu_instances(cores: int, *, leaves_cores: bool) -> tuple[int, ...]:
    """How many instances to try on a CPU: together they never have more threads than there are cores.

    Args:
        cores: Planned with.
        leaves_cores: Whether to try some that leave cores to the work on images.
    """
    threads = [1]
    while threads[-1] * 2 < cores:
        threads.append(threads[-1] * 2)
    counts = [cores // each for each in threads] + [1]
    if leaves_cores and cores >= 4:
        counts.append(cores - cores // 4)
    return tuple(sorted(set(counts), reverse=True))


def _on_gpu(subject: Subject) -> tuple[Candidate, ...]:
    if subject.max_batch_size <= 1:
        return tuple(Candidate(instances=count) for count in _GPU_INSTANCES)
    # Fewer rows than now would be refused to clients who send them today.
    sizes = [None, *(rows for rows in _GPU_ROWS if rows > subject.max_batch_size)]
    return tuple(
        Candidate(instances=count, max_batch_size=size, merge=Merge(delay_us=delay))
        for delay in _GPU_DELAYS_US
        for size in sizes
        for count in _GPU_INSTANCES
    )


def _in_precisions(ways: Sequence[Candidate], precisions: Sequence[str]) -> list[Candidate]:
    """Every way in the model's own precision, and those that merge in the simplest manner in each of the others."""
    simple = [way for way in ways if way.merge in (None, Merge())]
    return [*ways, *(replace(way, precision=precision) for precision in precisions for way in simple)]


def effect_of(candidate: Candidate, subject: Subject) -> Candidate:
    """What a candidate comes to: the same settings with every field filled in."""
    instances = subject.instances if candidate.instances is None else candidate.instances
    if instances == 0:
        kind = InstanceKind.GPU if subject.on_gpu else InstanceKind.CPU
        instances, _, _ = choose_instances(kind, 0, subject.cores)
    return Candidate(
        instances=instances,
        max_batch_size=subject.max_batch_size if candidate.max_batch_size is None else candidate.max_batch_size,
        merge=candidate.merge or subject.merge,
        precision=_named(candidate.precision or subject.precision),
    )


def instances_of(candidate: Candidate, subject: Subject) -> int:
    """How many instances a candidate comes to."""
    return effect_of(candidate, subject).instances or 1


def parallel_rows(candidate: Candidate, subject: Subject) -> int:
    """Rows that a candidate executes at the same time, if requests have one row each."""
    effect = effect_of(candidate, subject)
    merges = effect.merge is not None and effect.merge.on
    rows = (effect.merge.preferred_rows or effect.max_batch_size) if merges and effect.merge else 1
    return (effect.instances or 1) * max(1, rows or 1)


def _named(precision: str) -> str:
    """A precision as it is always written."""
    return precision or "default"
