"""What loading an artefact has in common whatever the framework: imports, missing files, errors, devices."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from pasarela_server.backends.reasons import reason
from pasarela_server.config.values import cuda_device
from pasarela_server.errors import BackendFailure, BackendMissing, InvalidModel, OutOfMemory, ServingError

_NO_MEMORY = re.compile(
    r"bad_alloc|out of memory|(cannot|can't|could not|failed to|unable to) allocate|insufficient memory", re.IGNORECASE
)


def import_framework(module: str, extra: str) -> Any:
    """Imports a framework by name.

    Args:
        module: The module to import.
        extra: The optional dependency of pasarela-server that installs it.

    Raises:
        BackendMissing: It is not installed, or cannot be imported; the message holds the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == module
        why = "is not installed" if absent else f"cannot be imported ({reason(error)})"
        raise BackendMissing(f'{module} {why}; install it with: pip install "pasarela-server[{extra}]"') from error


def require_file(artefact: Path) -> None:
    """Checks that the artefact is there.

    Raises:
        InvalidModel: It is missing or empty.
    """
    if not artefact.is_file():
        raise InvalidModel(f"{artefact.name} is missing")
    if artefact.stat().st_size == 0:
        raise InvalidModel(f"{artefact.name} is empty")


@contextmanager
def loading(artefact: Path) -> Iterator[None]:
    """Turns whatever a framework raises while it loads `artefact` into InvalidModel."""
    try:
        yield
    except ServingError:
        raise
    except Exception as error:
        raise InvalidModel(f"{artefact.name} cannot be loaded: {reason(error, artefact)}") from error


def inferring(framework: str) -> AbstractContextManager[None]:
    """Turns whatever a framework raises while it infers into BackendFailure, want of memory into OutOfMemory."""
    return _Inferring(framework)


class _Inferring:
    """No generator, since every execution enters it: a fifth of the price."""

    __slots__ = ("_framework",)

    def __init__(self, framework: str) -> None:
        self._framework = framework

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, ServingError):
            failure = OutOfMemory if lacks_memory(error) else BackendFailure
            raise failure(f"{self._framework} failed: {reason(error)}") from error


def lacks_memory(error: BaseException) -> bool:
    """Whether what was raised says that memory has run out: frameworks have many words for it, and no type."""
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None


def cuda_index(parameters: Mapping[str, str]) -> int | None:
    """The CUDA device that the parameter `device` names (`gpu`, `cuda:1`, …); None for the CPU.

    Raises:
        InvalidModel: It names neither.
    """
    device = parameters.get("device", "cpu")
    try:
        return cuda_device(device)
    except ValueError as error:
        raise InvalidModel(f"parameter 'device' is {device!r}; {error}") from error
