"""A tuning from beginning to end: which model, what to try, the search, what is kept of it."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pasarela_server.config.rewrite import rewrite
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.desired import DesiredModel, desire
from pasarela_server.repository.edit import describe_versions, find_model
from pasarela_server.repository.scan import CONFIG_FILE
from pasarela_server.tuning.bench import Probe
from pasarela_server.tuning.candidate import BASELINE, Candidate
from pasarela_server.tuning.candidates import instances_of, is_defaults, parallel_rows, why_not, worth_measuring
from pasarela_server.tuning.conditions import Conditions, differences, own_cpu_flags, read_conditions
from pasarela_server.tuning.journal import Journal, Sitting
from pasarela_server.tuning.measurement import Slice
from pasarela_server.tuning.orders import Job
from pasarela_server.tuning.picture import Curve, draw
from pasarela_server.tuning.report import Report
from pasarela_server.tuning.schedule import Schedule, client_levels, plan_schedule
from pasarela_server.tuning.search import Search
from pasarela_server.tuning.store import Record, other_records, read_record, record_file, replace_file, write_record
from pasarela_server.tuning.subject import Subject
from pasarela_server.tuning.wording import clock, describe, milliseconds, plural, rate

Say = Callable[[str], None]
"""Tells a person one line of progress."""

_BUSY = 0.3
"""Load of the machine before the tuning, in shares of its cores, from which the figures are doubtful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneRequest:
    """What a person asks for."""

    repository: Path
    model: str
    cpu_threads: int
    output: Path
    """Folder for measurements, picture and page."""
    budget_s: float
    target_ms: float | None = None
    precisions: tuple[str, ...] = ()
    clients: tuple[int, ...] = ()
    """Empty lets the tuner choose."""
    images: Path | None = None
    tensors: bool = False
    resume: bool = False
    writes: bool = False
    """Whether config.pbtxt will be written to: then it is made sure first that it can be."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of it."""

    report: Report
    config_file: Path
    source: str
    """What messages call it."""
    files: tuple[Path, ...]
    """What was kept: measurements, picture, page."""


def find_raw_model(repository: Path, model: str, say: Say) -> tuple[DesiredModel, int]:
    """The model with an artefact that a name leads to, and the version that is served.

    Raises:
        InvalidModel: There is none, or it has no version that can be served.
    """
    desired = desire(find_model(repository, model))
    if desired.is_detection:
        if not desired.runs_model:
            raise InvalidModel(f"{desired.source}: it runs another model and does not name it; write parameter 'model'")
        say(f"{model!r} runs the raw model {desired.runs_model!r}: that one is tuned")
        desired = desire(find_model(repository, desired.runs_model))
        if desired.is_detection:
            raise InvalidModel(f"model {model!r} runs {desired.name!r}, which is no raw model; name one in it")
    usable = [line.version for line in describe_versions(repository, desired.name) if line.wanted and not line.fault]
    if not usable:
        raise InvalidModel(f"model {desired.name!r} has no version on disk that can be served")
    return desired, max(usable)


def tune(request: TuneRequest, say: Say) -> Tuned:
    """Measures, chooses, and keeps what was measured. Takes minutes; may be interrupted and gone on with.

    Args:
        request: What to do.
        say: Told of progress.

    Raises:
        InvalidModel: There is no such model, or its configuration is wrong.
        CandidateFailed: It cannot be loaded or measured as it is.
        OSError: A file cannot be read or written.
    """
    request.output.mkdir(parents=True, exist_ok=True)
    desired, version = find_raw_model(request.repository, request.model, say)
    if request.writes:
        _require_writable(desired.folder)
    before = _config_text(desired)
    job = Job(
        repository=request.repository,
        model=desired.name,
        version=version,
        cpu_threads=request.cpu_threads,
        config_text=before,
        images=request.images,
        tensors=request.tensors,
    )
    conditions = read_conditions(job, desired)
    file = record_file(request.output, desired.name, conditions)
    earlier = _earlier(file, conditions, request, desired.name, say)
    remarks = _busy(request.cpu_threads)
    for remark in remarks:
        say(remark)
    began = time.monotonic()
    say(f"loading {desired.name!r} as it is …")
    with Probe(job, BASELINE) as baseline:
        load_s, subject = time.monotonic() - began, baseline.loaded.subject
        candidates, schedule, left_out = _plan(request, subject, load_s)
        remarks += left_out
        kept = [candidate for candidate in candidates if is_defaults(candidate, subject)]
        say(
            f"{subject.description}; {plural(len(candidates), 'candidate')} beside the configuration as it is, "
            f"with {', '.join(map(str, schedule.levels))} clients; about {clock(schedule.total_s)} minutes"
        )
        journal = Journal(earlier, lambda sittings: write_record(file, Record(conditions, tuple(sittings))))
        on_slice = _progress(subject, schedule, say)
        search = Search(lambda candidate: Probe(job, candidate), schedule, request.target_ms, journal, on_slice)
        found = search.run(baseline, candidates, kept)
    wanted = found.choice.apply(desired.written)
    report = Report(
        model=desired.name,
        subject=subject,
        conditions=conditions,
        target_ms=request.target_ms,
        found=found,
        remarks=remarks,
        before=before,
        after=before if wanted == desired.written else rewrite(before, wanted, desired.source),
    )
    files = _keep(file, Record(conditions, journal.sittings, report.outcome()), report)
    return Tuned(report, desired.folder / CONFIG_FILE, desired.source, files)


def write_config(tuned: Tuned) -> None:
    """Puts the new text of config.pbtxt into its place, whole or not at all.

    Raises:
        InvalidModel: Somebody has changed the file since the tuning began.
        OSError: It cannot be written.
    """
    text = tuned.config_file.read_text(encoding="utf-8") if tuned.config_file.exists() else ""
    if text != tuned.report.before:
        raise InvalidModel(f"{tuned.source} was changed while the model was tuned; tune again")
    replace_file(tuned.config_file, tuned.report.after)


def _plan(request: TuneRequest, subject: Subject, load_s: float) -> tuple[tuple[Candidate, ...], Schedule, list[str]]:
    """What to measure and for how long; and what is left out, for people."""
    flags = own_cpu_flags()
    candidates = worth_measuring(subject, request.precisions, flags)
    all_of_them = (BASELINE, *candidates)
    instances = max(subject.cores if not subject.on_gpu else 1, *(instances_of(each, subject) for each in all_of_them))
    rows = max(parallel_rows(each, subject) for each in all_of_them)
    levels = request.clients or client_levels(instances, rows, subject.most_waiting)
    finalists = 2 + (len(candidates) > 1 and is_defaults(candidates[0], subject))
    schedule = plan_schedule(len(candidates), levels, request.budget_s - load_s, load_s, finalists)
    remarks = [
        f"precision {each} was not tried: {why}"
        for each in request.precisions
        if (why := why_not(each, subject, flags)) is not None
    ]
    if not request.precisions:
        remarks.append("The precision is as it was: another changes answers; allow it with --precisions.")
    if left := len(candidates) - schedule.candidates:
        remarks.append(f"There was no time for {plural(left, 'more candidate')}: give it more with --budget.")
    return candidates[: schedule.candidates], schedule, remarks


def _earlier(file: Path, conditions: Conditions, request: TuneRequest, model: str, say: Say) -> tuple[Sitting, ...]:
    """What was measured before and may be used again."""
    record = read_record(file)
    if record is not None:
        if request.resume:
            say(f"goes on with {plural(len(record.sittings), 'measurement')} of {file}")
            return record.sittings
        say(f"was measured before under the same conditions; --resume goes on with {file}")
        return ()
    for other in other_records(request.output, model, file)[:1]:
        record = read_record(other)
        if record is not None:
            say(f"was measured before under other conditions ({other.name}):")
            for line in differences(record.conditions, conditions):
                say(f"  {line}")
    return ()


def _require_writable(folder: Path) -> None:
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{CONFIG_FILE}.", dir=folder):
            pass
    except OSError as error:
        raise InvalidModel(
            f"{str(folder)!r} cannot be written to ({error.strerror}); leave --write out to have the change printed"
        ) from error


def _busy(cores: int) -> list[str]:
    load = os.getloadavg()[0]
    if load < _BUSY * cores:
        return []
    return [f"Other processes kept about {load:.1f} of {cores} cores busy at the start: repeat it on an idle machine."]


def _progress(subject: Subject, schedule: Schedule, say: Say) -> Callable[[Candidate, Slice], None]:
    began, done = time.monotonic(), itertools.count(1)

    def on_slice(candidate: Candidate, measured: Slice) -> None:
        left_s = schedule.left_s(next(done), time.monotonic() - began)
        p99 = measured.latencies_ms[int(0.99 * (len(measured.latencies_ms) - 1))] if measured.latencies_ms else 0.0
        who = "as it is" if candidate == BASELINE else describe(candidate, subject)
        say(
            f"[{clock(left_s)} left] {who}, {plural(measured.clients, 'client')}: "
            f"{rate(measured.completed / measured.seconds)}/s, p99 {milliseconds(p99)} ms"
        )

    return on_slice


def _config_text(desired: DesiredModel) -> str:
    try:
        return (desired.folder / CONFIG_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _keep(file: Path, record: Record, report: Report) -> tuple[Path, ...]:
    picture, page = file.with_suffix(".svg"), file.with_suffix(".md")
    names: Sequence[tuple[Candidate, str]] = list(report.names().items())
    curves = [
        Curve(name, report.found.measured[candidate], candidate == BASELINE, candidate == report.found.choice)
        for candidate, name in names
    ]
    unit = "images" if report.subject.detects else "requests"
    write_record(file, record)
    replace_file(picture, draw(f"{report.model}: latency against throughput", curves, unit, report.target_ms))
    replace_file(page, report.page() + f"\n![Latency against throughput]({picture.name})\n")
    return file, picture, page
