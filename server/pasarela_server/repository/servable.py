"""A version's life: its state, what it serves while it is READY, and the handles that keep it alive."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from pasarela_server.config.model import ModelConfig
from pasarela_server.errors import BackendMissing, ModelSuspended, ModelUnavailable
from pasarela_server.repository.pipeline import DetectionPipeline
from pasarela_server.repository.result import DetectOverrides, DetectResult, ImageSource
from pasarela_server.request import InferRequest, InferResponse

_LOG = logging.getLogger("pasarela_server.repository")

UNLOADED = "unloaded"
"""The reason of a version that was taken out of service on purpose; Triton's word, which its clients look for."""


class State(enum.Enum):
    """Where a version is in its life; the value is the name in the repository index."""

    UNKNOWN = "UNKNOWN"
    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Status:
    """A state and why."""

    state: State
    reason: str = ""
    """For people: why it is not READY. Holds nothing of the server's inside."""
    backend_missing: bool = False
    """True if only the framework is not installed: that does not hold readiness back."""


class Servable(Protocol):
    """A loaded version."""

    @property
    def config(self) -> ModelConfig:
        """The configuration in force."""
        ...

    @property
    def version(self) -> int:
        """The version's number."""
        ...

    @property
    def description(self) -> str:
        """What runs it, on which device, at which precision; one line for people."""
        ...

    def labels(self, output: str) -> tuple[str, ...]:
        """Names of the classes that an output's elements stand for; empty if there are none."""
        ...

    @property
    def pipeline(self) -> DetectionPipeline:
        """What detects with it.

        Raises:
            InvalidRequest: It takes no images.
        """
        ...

    @property
    def waiting(self) -> int:
        """Requests in its queue now."""
        ...

    @property
    def impediment(self) -> str:
        """Why it cannot answer now although it is loaded, for people; empty if it can. It may go by itself."""
        ...

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answers a request in tensors."""
        ...

    async def detect(
        self,
        image: ImageSource,
        overrides: DetectOverrides = ...,
        deadline_monotonic_s: float | None = None,
    ) -> DetectResult:
        """Finds the objects in an image."""
        ...

    def stop(self, *, drain: bool) -> None:
        """Takes no more requests and blocks until those that run are answered; without `drain` waiting ones fail."""
        ...

    def close(self) -> None:
        """Stops and frees everything. Blocks."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """A servable that can answer, and what was decided about it, for people."""

    servable: Servable
    decisions: tuple[str, ...]
    quality: Mapping[str, float] = field(default_factory=dict)
    """See `manifest.read_quality`."""


class Handle:
    """Keeps a version alive while it is used: `with manager.acquire(…) as handle: await handle.servable.infer(…)`."""

    __slots__ = ("_release", "_released", "servable")

    def __init__(self, servable: Servable, release: Callable[[], None]) -> None:
        self.servable = servable
        self._release = release
        self._released = False

    def release(self) -> None:
        """Gives the version back. More than one call is harmless."""
        if not self._released:
            self._released = True
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class VersionSlot:
    """One version of a model, from LOADING to UNAVAILABLE. All methods may be called from any thread."""

    def __init__(self, model: str, number: int, on_change: Callable[[str], None], content: str = "") -> None:
        """Begins a version's life, LOADING.

        Args:
            model: The model's name.
            number: The version's.
            on_change: Told the model's name after each change of state, on the thread that made it.
            content: What lay on disk when loading began; see `watch.Look.content`.
        """
        self.model = model
        self.number = number
        self.content = content
        self._on_change = on_change
        self._lock = threading.Lock()
        self._status = Status(State.LOADING, "it is being loaded")
        self._servable: Servable | None = None
        self._handles = 0
        self._closed = threading.Event()

    @property
    def status(self) -> Status:
        """The state now: a version that is in service, and cannot answer for a while, is UNAVAILABLE meanwhile."""
        status, servable = self._status, self._servable
        if status.state is State.READY and servable is not None:
            impediment = servable.impediment
            if impediment:
                return Status(State.UNAVAILABLE, impediment)
        return status

    @property
    def in_service(self) -> bool:
        """Whether it was loaded, and has not been retired: it answers, or will again by itself."""
        return self._status.state is State.READY

    @property
    def waiting(self) -> int:
        """Requests in its queue now; 0 for a version that is not READY."""
        servable = self._servable
        return 0 if servable is None else servable.waiting

    def publish(self, servable: Servable) -> None:
        """Makes the version READY. From here on the slot owns the servable."""
        with self._lock:
            self._servable = servable
            self._status = Status(State.READY)
        self._on_change(self.model)

    def fail(self, reason: str, *, backend_missing: bool = False) -> None:
        """Marks a version that could not be loaded."""
        with self._lock:
            self._status = Status(State.UNAVAILABLE, reason, backend_missing)
            self._closed.set()
        self._on_change(self.model)

    def acquire(self) -> Handle:
        """Pins the version.

        Raises:
            ModelUnavailable: It is not READY; with the reason.
        """
        servable = self._servable
        impediment = "" if servable is None else servable.impediment
        if impediment:
            raise ModelSuspended(f"model {self.model!r} version {self.number} is not ready: {impediment}")
        with self._lock:
            if self._status.state is not State.READY or self._servable is None:
                kind = BackendMissing if self._status.backend_missing else ModelUnavailable
                raise kind(f"model {self.model!r} version {self.number} is not ready: {self._status.reason}")
            self._handles += 1
            return Handle(self._servable, self._release)

    def remark(self, reason: str) -> None:
        """Says of a READY version what people should know: why what lies on disk is not what answers, for example."""
        with self._lock:
            changed = self._status.state is State.READY and self._status.reason != reason
            if changed:
                self._status = Status(State.READY, reason)
        if changed:
            self._on_change(self.model)

    def retire(self) -> None:
        """Takes the version out of service. It is closed here if nobody uses it, else when the last handle is gone."""
        with self._lock:
            if self._status.state is not State.READY:
                return
            self._status = Status(State.UNLOADING, "it is being unloaded")
            idle = self._handles == 0
        self._on_change(self.model)
        if idle:
            self._close()

    def wait_closed(self, timeout_s: float | None) -> bool:
        """Blocks until nothing of the version is left; False if that took longer than allowed."""
        return self._closed.wait(timeout_s)

    def abandon(self) -> None:
        """Fails the requests that still wait in a retired version, so that its handles come back."""
        servable = self._servable
        if servable is not None:
            servable.stop(drain=False)

    def _release(self) -> None:
        with self._lock:
            self._handles -= 1
            last = self._handles == 0 and self._status.state is State.UNLOADING
        if last:
            # Closing joins threads; the last handle is often given back on the event loop, which must not wait.
            threading.Thread(target=self._close, name=f"unload-{self.model}-{self.number}").start()

    def _close(self) -> None:
        servable = self._servable
        try:
            if servable is not None:
                servable.close()
        except Exception:  # noqa: BLE001 - whatever a framework raises here, the version is gone
            _LOG.exception("model %s version %d: closing it failed", self.model, self.number)
        finally:
            with self._lock:
                self._servable = None
                self._status = Status(State.UNAVAILABLE, UNLOADED)
                self._closed.set()
            self._on_change(self.model)
