"""The contract between the server and a framework: load an artefact, say what it is, infer, close.

A backend knows a framework and nothing of detection, queues or the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pasarela_server.tensor import Array, TensorSpec


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """How to load an artefact."""

    instances: int
    """How many sessions will infer at the same time."""
    threads: int
    """Cores that one session may keep busy while it infers."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The `parameters` of config.pbtxt, for what only one framework knows (precision, device, …)."""
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    """Names written in config.pbtxt, for artefacts that carry none (TorchScript)."""
    max_rows: int = 1
    """Rows of the largest batch that will be sent. A hint: larger ones are answered too."""
    accelerators: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By name, the parameters of each `gpu_execution_accelerator` that config.pbtxt asks for."""
    cache_folder: Path | None = None
    """Where a backend may keep what it made of artefacts, for the next start; None keeps nothing."""
    timeout_s: float | None = None
    """How long one inference may take; None for ever. Only backends that can end one look at it."""


@dataclass(frozen=True, slots=True)
class ArtefactSpec:
    """What an artefact says of itself."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    """True if the first dimension of every input and output varies: only then may rows be batched."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """What the exporter wrote into the artefact, parsed: Ultralytics writes task, names, stride, imgsz, …"""
    pixel_inputs: frozenset[str] = frozenset()
    """Inputs of shape (n, 3, h, w), values from 0 to 1, for which sessions also take pixels: (n, h, w, 3) UINT8, RGB.

    The backend then scales and transposes them itself, in the graph or on the device. All sizes that the spec allows
    are taken, and the answer is that to the same pixels divided by 255, up to rounding in the model's precision.
    """
    row_by_row: bool = False
    """True if a batch is computed one row after the other: it costs what its rows cost, one row warms up for all."""


class Session(Protocol):
    """One stream of inferences; used by one thread at a time."""

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Runs the model once.

        Args:
            inputs: An array for each input of the spec, C-contiguous and aligned, of its type (or pixels, for those of
                `ArtefactSpec.pixel_inputs`). They may be read-only, and are not kept after the call.

        Returns:
            An array for each output of the spec. The caller owns them: the next call does not overwrite them.

        Raises:
            BackendFailure: The framework raised.
        """
        ...


@runtime_checkable
class PartsSession(Session, Protocol):
    """A session that puts the parts of a batch together itself, where it needs them: one copy less."""

    def infer_parts(self, parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
        """Runs the model once on the rows of all parts, one part's after the other's.

        Args:
            parts: Each as for `Session.infer`; shapes and types agree but for the rows.

        Returns:
            As `Session.infer`, the rows of all parts.

        Raises:
            BackendFailure: The framework raised.
        """
        ...


@runtime_checkable
class WideSession(Session, Protocol):
    """A session that can use the cores of all sessions of its model, while the others have nothing to do."""

    @property
    def wide_threads(self) -> int:
        """Cores that `infer_wide` may keep busy; no more than `infer` if it would be of no use."""
        ...

    def infer_wide(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """As `Session.infer`, on more cores if that can be done.

        What it takes to do so may have to be made first: until it is there this is `Session.infer`.
        """
        ...


class Backend(Protocol):
    """A loaded artefact. Owned by the servable that loaded it."""

    @property
    def spec(self) -> ArtefactSpec:
        """Inputs, outputs and metadata of the artefact."""
        ...

    @property
    def description(self) -> str:
        """Framework and version, device, precision really used, threads: one line for the log and the figures."""
        ...

    def session(self) -> Session:
        """A new session. At most `options.instances` of them infer at the same time."""
        ...

    def close(self) -> None:
        """Frees the artefact. No session is used afterwards."""
        ...


@runtime_checkable
class RecoveringBackend(Backend, Protocol):
    """A backend that can be away for a while, and comes back by itself: its sessions stay valid."""

    @property
    def away(self) -> str:
        """Why it cannot answer now, for people; empty if it can."""
        ...

    def follow(self, changed: Callable[[], None]) -> None:
        """Has a call made after each change of `away`, on any thread; it must not block."""
        ...


class BackendLoader(Protocol):
    """Loads artefacts of one kind. Importing the module that defines it does not import the framework."""

    @property
    def name(self) -> str:
        """The backend's name in config.pbtxt."""
        ...

    @property
    def artefact(self) -> str:
        """The file name that it looks for in a version's folder, unless config.pbtxt names another."""
        ...

    def load(self, artefact: Path, options: BackendOptions) -> Backend:
        """Loads an artefact and reads its spec.

        Raises:
            BackendMissing: The framework is not installed; the message holds the command that installs it.
            InvalidModel: The artefact is missing, broken, or cannot be served.
        """
        ...


@runtime_checkable
class PreparedLoader(BackendLoader, Protocol):
    """A loader that can do beforehand what takes time and needs no artefact."""

    def prepare(self) -> None:
        """Imports the framework.

        Raises:
            BackendMissing: It is not installed.
        """
        ...
