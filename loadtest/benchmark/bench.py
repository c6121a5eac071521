"""The processes that one measurement needs: servers, engines, load generators. Each starts when first asked for."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from loadtest.benchmark.child import Child, ChildFailed, child
from loadtest.benchmark.perf_analyzer import Load, find_perf_analyzer, perf_analyzer_command, run_perf_analyzer
from loadtest.benchmark.settings import Settings
from loadtest.server_process import StartedServer, last_line, started_server
from pasarela_server.errors import InvalidModel
from pasarela_server.repository.desired import desire
from pasarela_server.repository.scan import scan


class NothingToMeasure(Exception):
    """The repository has nothing that a measurement could measure; the message says what it would need."""


@dataclass(frozen=True, slots=True)
class MeasuredVariant:
    """A raw model that loads, and the process that runs it without a server."""

    name: str
    backend: str
    description: str
    """Framework, precision really used, threads."""
    artefact: Path
    input_name: str
    side: int
    """Of the square input."""
    output_bytes: int
    output_names: tuple[str, ...]
    process: Child

    @property
    def role(self) -> str:
        """The name's ending: `openvino` of `yolov9t_openvino`."""
        return self.name.rpartition("_")[2]


class Bench:
    """Starts what is asked for and ends all of it when it is left."""

    def __init__(self, settings: Settings) -> None:
        """Starts nothing yet."""
        self.settings = settings
        self.notes: list[str] = []
        """How things were set up, for whoever reads the figures."""
        self.perf_analyzer = find_perf_analyzer()
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._servers: dict[tuple[str, ...], StartedServer] = {}
        self._generator: Child | None = None
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def last_words(self) -> list[str]:
        """What each server printed last, for messages about something that failed."""
        return [f"{log.stem}: {last_line(log)}" for log in sorted(self._folder.glob("server-*.log"))]

    @property
    def stack(self) -> ExitStack:
        """Closed when the bench is left."""
        return self._stack

    def folder(self, name: str) -> Path:
        """An empty folder of its own, gone afterwards."""
        folder = self._folder / name
        folder.mkdir()
        return folder

    def log(self) -> Path:
        """A new file for what a server prints."""
        self._started += 1
        return self._folder / f"server-{self._started}.log"

    def note(self, text: str) -> None:
        """Adds a line about the set-up, once."""
        if text not in self.notes:
            self.notes.append(text)

    def images(self) -> list[str]:
        """Paths, for the command lines of children."""
        return [str(path) for path in self.settings.images]

    def generator(self) -> Child:
        """The load generator."""
        if self._generator is None:
            self._generator = self.child("loadtest.benchmark.clients", *self.images())
        return self._generator

    def child(self, module: str, *arguments: str) -> Child:
        """Another process that measures."""
        return self._stack.enter_context(child(module, *arguments))

    def server(self, models: Sequence[str], flags: Sequence[str] = ()) -> StartedServer:
        """A server that has loaded just these models; the same one each time they are asked for."""
        key = (*models, *flags)
        if key not in self._servers:
            chosen = [part for model in models for part in ("--load-model", model)]
            self._servers[key] = self._stack.enter_context(
                started_server(
                    self.settings.repository, self.log(), ["--model-control-mode", "explicit", *chosen, *flags]
                )
            )
        return self._servers[key]

    def variants(self) -> list[MeasuredVariant]:
        """The raw models that were chosen and load here; others are left out with a word on why.

        Raises:
            NothingToMeasure: None is left.
        """
        found = [variant for name in self._chosen() if (variant := self._load(name)) is not None]
        if not found:
            raise self._nothing()
        return found

    def variant(self, role: str) -> MeasuredVariant:
        """The first raw model of a kind; the first of all where there is none of it.

        Raises:
            NothingToMeasure: There is no raw detector at all.
        """
        if (variant := self._load(self.model(role))) is not None:
            return variant
        raise NothingToMeasure(f"{self.model(role)} in {self.settings.repository} does not load here; see above")

    def model(self, role: str) -> str:
        """The name of the first raw model of a kind; of the first of all where there is none of it. Loads nothing.

        Raises:
            NothingToMeasure: There is no raw model.
        """
        names = sorted(self._chosen(), key=lambda name: name.rpartition("_")[2] != role)
        if not names:
            raise self._nothing()
        return names[0]

    def _nothing(self) -> NothingToMeasure:
        wanted = f" that ends with {' or '.join(self.settings.variants)}" if self.settings.variants else ""
        return NothingToMeasure(
            f"no raw detector{wanted} in {self.settings.repository} loads here; name another --model-repository"
        )

    def _chosen(self) -> list[str]:
        names = []
        for model in scan(self.settings.repository):
            try:
                raw = not desire(model).is_detection
            except InvalidModel as error:
                print(f"{model.name} is left out: {error}", file=sys.stderr)
                continue
            role = model.name.rpartition("_")[2]
            if raw and (not self.settings.variants or role in self.settings.variants):
                names.append(model.name)
        return names

    def _load(self, name: str) -> MeasuredVariant | None:
        process = self.child("loadtest.benchmark.in_process", str(self.settings.repository / name), *self.images())
        try:
            facts = process.ask("describe")
        except ChildFailed as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            return None
        self.note(f"{name}: {facts['description']}")
        return MeasuredVariant(
            name=name,
            backend=facts["backend"],
            description=facts["description"],
            artefact=Path(facts["artefact"]),
            input_name=facts["input_name"],
            side=facts["image_size"][0],
            output_bytes=facts["output_bytes"],
            output_names=tuple(facts["output_names"]),
            process=process,
        )

    def glance(self) -> float:
        """Seconds of a figure that no bar compares: half of what others take."""
        self.note("figures that no bar compares took half as long")
        return self.settings.seconds / 2

    def detect_load(
        self, server: StartedServer, model: str, clients: int, seconds: float | None = None
    ) -> tuple[Load, float]:
        """Images in, detections out, closed loop; and the cores that the server kept busy."""
        return self.closed_load(server, {"kind": "detect", "model": model}, clients, seconds=seconds)

    def closed_load(
        self,
        server: StartedServer,
        request: dict[str, Any],
        clients: int,
        command: str = "closed",
        seconds: float | None = None,
    ) -> tuple[Load, float]:
        """Any traffic that the load generator knows, closed loop; and the cores that the server kept busy."""
        with CoresOf(server.pid) as cores:
            answer = self.generator().ask(
                command,
                url=server.url,
                request=request,
                clients=clients,
                seconds=self.settings.seconds if seconds is None else seconds,
            )
        return Load(**answer), cores.busy

    def tensor_load(
        self,
        server: StartedServer,
        variant: MeasuredVariant,
        clients: int,
        *,
        shared: bool,
        seconds: float | None = None,
    ) -> tuple[Load, float]:
        """Float tensors to a raw model: by perf_analyzer where it is at hand, else by the load generator."""
        shape = [1, 3, variant.side, variant.side]
        if self.perf_analyzer is None:
            request: dict[str, Any] = {"kind": "tensor", "model": variant.name, "shape": shape}
            request["input_name"] = variant.input_name
            if not shared:
                return self.closed_load(server, request, clients, seconds=seconds)
            request |= {"output_bytes": variant.output_bytes, "output_names": variant.output_names}
            return self.closed_load(server, request, clients, "closed_shared", seconds)
        return self.analyze(
            server,
            variant.name,
            clients,
            {variant.input_name: f"3,{variant.side},{variant.side}"},
            variant.output_bytes if shared else 0,
            seconds,
        )

    def analyze(
        self,
        server: StartedServer,
        model: str,
        clients: int,
        shapes: dict[str, str],
        shared_bytes: int = 0,
        seconds: float | None = None,
    ) -> tuple[Load, float]:
        """One measurement of perf_analyzer; and the cores that the server kept busy."""
        assert self.perf_analyzer is not None, "the caller looked"
        with CoresOf(server.pid) as cores:
            load = run_perf_analyzer(
                perf_analyzer_command(
                    self.perf_analyzer,
                    server.url,
                    model,
                    clients,
                    self.settings.seconds if seconds is None else seconds,
                    shapes,
                    shared_bytes,
                )
            )
        return load, cores.busy


class CoresOf:
    """How many cores a process and its children kept busy inside the block."""

    def __init__(self, pid: int) -> None:
        """Of a running process."""
        self._pid = pid
        self.busy = 0.0

    def __enter__(self) -> Self:
        self._before, self._begun = self._spent(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.busy = (self._spent() - self._before) / (time.perf_counter() - self._begun)

    def _spent(self) -> float:
        process = psutil.Process(self._pid)
        spent = 0.0
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            spent += times.user + times.system
        return spent
