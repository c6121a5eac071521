"""What a load test leaves for its report: one record for each request, and the facts of the run.

In the folder of a run lie `requests-N.jsonl`, one for each Locust worker (JSON lines, one request each, in the order in
which they ended), and `run.json`. All times are seconds on the run's clock, which is 0 when the run begins; users
are made first, then comes the warm-up, and what counts begins at `RunFacts.warm_up_s`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TextIO, TypeVar, get_args

from pasarela_client.timings import NOT_TOLD, Timings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Outcome = Literal["done", "late", "refused", "failed", "lost", "left", "unsent"]
"""How one request ended.

done: answered, within its deadline if it had one. late: answered after its deadline, or ended by it. refused: the
server said that it has too much to do. failed: anything else that the server or the connection said. lost: never
answered, as the stream or the run ended before. left: its client went away on purpose. unsent: it was due, and as many
as the generator may have under way already were, or there was no stream for it, or the generator was behind when the
run ended; its client never saw the server.
"""
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
BAD: Final[frozenset[Outcome]] = frozenset({"late", "refused", "failed", "lost", "unsent"})
"""Outcomes that the server's users would complain of."""
Loop = Literal["open", "closed"]
"""open: requests come when they are due, answered or not. closed: a user asks again once it was answered."""

RUN_FILE: Final = "run.json"
_REQUEST_FILES: Final = "requests-*.jsonl"
_T = TypeVar("_T", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, or one frame of a stream."""

    step: int
    """Index into `RunFacts.steps`."""
    user: str
    """The kind of user, as in scenario files: detect, stream, raw, slow, leaver."""
    model: str
    loop: Loop
    due_s: float
    """When it was to be sent; in a closed loop the moment at which its user was ready to."""
    outcome: Outcome
    sent_s: float | None = None
    """When it was handed to gRPC; None if it never was."""
    done_s: float | None = None
    """When its client knew how it ended; None if that is not known, as for what is lost or was never sent."""
    status: str = "OK"
    """Name of the gRPC status; empty if there was none, as for what is lost or was never sent."""
    message: str = ""
    """What went wrong, in a few words that group well; empty for what went well."""
    response_bytes: int = 0
    """Size of the answer on the wire, without gRPC's own."""
    timings: Timings = NOT_TOLD
    """Where the time went on the server; `batch_size`, `close_reason` and `instance` are in it."""
    stream: int | None = None
    """Which of the worker's streams the frame was in; None outside streams."""
    frame: int | None = None
    """The frame's index in its stream."""
    worker: int = 0
    """Which Locust worker sent it, from 0."""

    @property
    def answered(self) -> bool:
        """Whether an answer came, in time or not; others are late because their deadline ended them."""
        return self.outcome == "done" or (self.outcome == "late" and self.status == "OK")

    @property
    def begun_s(self) -> float | None:
        """From when its latency counts: an open loop's from when it was due, a closed one's from when it was sent."""
        return self.due_s if self.loop == "open" else self.sent_s

    @property
    def latency_s(self) -> float | None:
        """What its client waited; None if it has no end."""
        begun_s = self.begun_s
        return None if begun_s is None or self.done_s is None else self.done_s - begun_s

    @property
    def lag_s(self) -> float | None:
        """How late the generator was with sending it; None if it never was sent."""
        return None if self.sent_s is None else self.sent_s - self.due_s

    def to_json(self) -> str:
        """One line, without what stands at its default."""
        document: dict[str, Any] = {}
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                document[name] = round(value, 6) if isinstance(value, float) else value
        if self.timings != NOT_TOLD:
            document["timings"] = {
                name: value for name, plain in _TIMINGS.items() if (value := getattr(self.timings, name)) != plain
            }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The record in a line that `to_json` wrote; fields of later versions are passed over.

        Raises:
            ValueError: The line is none of them.
        """
        document = json.loads(line)
        try:
            known = {name: document[name] for name in _DEFAULTS if name in document}
            told = document.get("timings", {})
            timings = Timings(**{name: told[name] for name in _TIMINGS if name in told}) if told else NOT_TOLD
            return cls(**known, timings=timings)
        except TypeError as error:
            raise ValueError(f"no record of a request: {line[:80]!r} ({error})") from error


_DEFAULTS: Final = {entry.name: entry.default for entry in dataclasses.fields(RequestRecord) if entry.name != "timings"}
_TIMINGS: Final = {entry.name: entry.default for entry in dataclasses.fields(Timings)}


@dataclass(frozen=True, slots=True)
class StepFacts:
    """A part of the run in which the load followed one rule."""

    name: str
    """warm-up, or what the scenario or the search calls it: "20/s", "8 users", "burst 2"."""
    begins_s: float
    ends_s: float
    """When the last request was due at the latest; answers may come later."""
    loop: Loop
    rate_from: float | None = None
    """Requests per second offered at its beginning; None in a closed loop."""
    rate_to: float | None = None
    """The same at its end; the rate runs straight from one to the other."""
    users: int | None = None
    """Closed users at a time; None in an open loop."""
    counts: bool = True
    """Whether it belongs to the results; False for the warm-up."""


@dataclass(frozen=True, slots=True)
class ObjectiveResult:
    """One service-level objective, and whether it was met."""

    name: str
    """As in the scenario file: p99_ms, failed, throughput, late_frames, …"""
    wanted: str
    """With its relation: "<= 120", ">= 25", "<= 0.1%"."""
    got: str
    """In the same unit; "–" if there was nothing to measure it by."""
    met: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer that the run looked for: a rate that keeps an objective, a knee, a saturated throughput."""

    name: str
    """rate, knee, saturation, ratio"""
    value: float | None
    """None if there is none."""
    unit: str
    """"/s", or empty."""
    low: float | None = None
    """Where the true value is thought to lie; None if it was not looked at."""
    high: float | None = None
    explanation: str = ""
    """A sentence for people: what was looked for, and why the search ended."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was run, on what, and when. Only what is true of the whole run."""

    scenario: Mapping[str, Any]
    """The scenario after `--set`, as the file says it (JSON types, defaults left out)."""
    name: str
    """The scenario file's name without its suffix."""
    title: str
    """The question that it answers."""
    models: tuple[str, ...]
    """Those that were asked."""
    started_at: float
    """Seconds since the epoch at which the run's clock was 0."""
    ended_s: float
    """When the last request had ended, or the run was cut short."""
    warm_up_s: float
    """What came before it (was due before it) does not count."""
    steps: tuple[StepFacts, ...]
    """In order, the warm-up first; the offered load by time. A gap between two is a pause."""
    workers: int
    """Locust processes that sent requests."""
    seeds: tuple[int, ...]
    """Of the arrivals and choices of each worker."""
    url: str
    """host:port of the server."""
    metrics_url: str = ""
    """http://host:port/metrics; empty if it is not known."""
    server_pid: int | None = None
    """The server's process, if it was started for the run."""
    server_ready_s: float | None = None
    """From its start until it was ready; None if it ran already."""
    cut_short: bool = False
    """Whether it was stopped before its end; what was measured until then is in the records."""
    fault: str = ""
    """Why it was, if nobody asked for it, or why what was sent is not all that was asked for: a sentence."""
    overrun: int = 0
    """Requests that were due and not sent, for the bound on those under way; they are in the records as `unsent`."""
    objectives: tuple[ObjectiveResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """The machine and the versions: `loadtest.benchmark.conditions`, and the version of Locust."""

    def write(self, folder: Path) -> Path:
        """Writes `run.json`, whole or not at all."""
        path = folder / RUN_FILE
        beside = path.with_name(path.name + ".partial")
        beside.write_text(json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return beside.replace(path)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The facts in a run's folder; fields of later versions are passed over.

        Raises:
            FileNotFoundError: There is no `run.json`.
            ValueError: It does not hold the facts of a run.
        """
        document = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        try:
            return _build(
                cls,
                document,
                models=tuple(document["models"]),
                seeds=tuple(document["seeds"]),
                steps=tuple(_build(StepFacts, one) for one in document["steps"]),
                objectives=tuple(_build(ObjectiveResult, one) for one in document.get("objectives", ())),
                findings=tuple(_build(Finding, one) for one in document.get("findings", ())),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{folder / RUN_FILE} does not hold the facts of a run: {error}") from error


def _build(kind: type[_T], document: Mapping[str, Any], **parts: Any) -> _T:
    known = {entry.name for entry in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in {**document, **parts}.items() if name in known})


def request_file(folder: Path, worker: int) -> Path:
    """Where a worker writes its records."""
    return folder / f"requests-{worker}.jsonl"


def write_records(file: TextIO, records: Iterable[RequestRecord]) -> None:
    """Appends records to a file of a worker."""
    file.write("".join(record.to_json() + "\n" for record in records))


def read_records(folder: Path) -> list[RequestRecord]:
    """All records of a run, of all its workers, in the order in which they were due.

    A last line that was not written whole, as its worker was killed, is left out.

    Raises:
        ValueError: Another line is no record; the message names file and line.
    """
    records: list[RequestRecord] = []
    for path in sorted(folder.glob(_REQUEST_FILES)):
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                try:
                    records.append(RequestRecord.from_json(line))
                except ValueError as error:
                    if line.endswith("\n"):
                        raise ValueError(f"{path}:{number}: {error}") from error
    records.sort(key=lambda record: (record.due_s, record.worker))
    return records
