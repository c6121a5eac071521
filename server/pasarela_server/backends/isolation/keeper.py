"""Keeps a model's process alive: starts it, notices its end, starts it again, says meanwhile that it is away."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pasarela_server import errors
from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.isolation.life import Ends, Life
from pasarela_server.backends.isolation.messages import Failed, Loaded
from pasarela_server.backends.isolation.process_log import ProcessLog
from pasarela_server.backends.isolation.settings import ProcessSettings
from pasarela_server.backends.isolation.spec_text import OpenedModel, read_opened
from pasarela_server.errors import BackendFailure, InvalidModel, ModelSuspended, ServingError
from pasarela_server.processes.framing import BrokenLink
from pasarela_server.processes.restart import RestartDelay

_log = logging.getLogger("pasarela_server.backends.isolation")

_SOON_S = 1.0
"""A process that is started again after such a wait is waited for by requests that were accepted before."""
_PATIENCE_S = 15.0
"""How long they wait for it."""
_LOAD_TIMES = 10
_LOAD_S = 60.0
"""A process that is started again may take so many times what the first one took to load the model, and at least so
long. The first one, like a model in the server's own process, may take as long as it likes."""
_MOST_FORMS = 4
"""Forms of inputs that a new process runs, on zeros, before it is offered: those that were answered first."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a model's process is started."""

    model: str
    loader: str
    """See `ProcessSettings.loader`."""
    artefact: Path
    options: BackendOptions
    log: ProcessLog = field(default_factory=ProcessLog)
    """What the process logs."""
    load_s: float = _LOAD_S
    """The least time that a process which is started again has to load the model."""


class ProcessKeeper:
    """Owns a thread and, while it runs, one process. All methods may be called from any thread."""

    def __init__(self, opening: Opening) -> None:
        """Builds the keeper; `start` starts the process."""
        self._opening = opening
        self._changed = threading.Condition()
        self._life: Life | None = None
        """The process that answers now; under `_changed`."""
        self._spare: Life | None = None
        """Takes the place of the one that answers when that ends: Python and the framework are there already."""
        self._starting: Life | None = None
        """The process that is loading the model; under `_changed`."""
        self._first: OpenedModel | ServingError | None = None
        """What came of the first start; under `_changed`."""
        self._away = ""
        self._soon = True
        """Whether it is worth waiting for the next process."""
        self._closing = threading.Event()
        self._tell: Callable[[], None] | None = None
        self._forms: dict[str, None] = {}
        self._delay = RestartDelay()
        self._load_s: float | None = None
        """How long a process may take to load the model; see `_LOAD_TIMES`."""
        self._thread = threading.Thread(target=self._keep, name=f"process-{opening.model}", daemon=True)

    def start(self) -> OpenedModel:
        """Starts the process; blocks until it has loaded the model.

        Raises:
            InvalidModel: It cannot be loaded, or the process ended meanwhile.
            BackendMissing: The framework is not installed.
        """
        if not hasattr(os, "memfd_create"):
            raise InvalidModel(f"a process of its own takes memfd_create, which {sys.platform} has not")
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._first is not None)
            first = self._first
        if isinstance(first, ServingError):
            self._thread.join()
            raise first
        assert first is not None
        return first

    @property
    def model(self) -> str:
        """The model's name."""
        return self._opening.model

    @property
    def away(self) -> str:
        """Why there is no process that could answer, for people; empty if there is one."""
        return self._away

    def follow(self, changed: Callable[[], None]) -> None:
        """Has a call made after each change of `away`, on the keeper's thread; it must not block."""
        self._tell = changed

    def life(self) -> Life:
        """The process that answers. Waits a little for one that is being started.

        Raises:
            ModelSuspended: There is none.
        """
        life = self._sound()
        if life is not None:
            return life
        with self._changed:
            self._changed.wait_for(
                lambda: self._sound() is not None or not self._soon or self._closing.is_set(), _PATIENCE_S
            )
            life = self._sound()
        if life is not None:
            return life
        raise ModelSuspended(f"model '{self.model}' is not ready: {self._away or 'its process has ended'}")

    def _sound(self) -> Life | None:
        life = self._life
        return None if life is None or life.doomed else life

    def worked(self, inputs: str) -> None:
        """Inputs of this form, as `messages.write_places` writes them, have been answered."""
        if len(self._forms) < _MOST_FORMS:
            self._forms[inputs] = None

    def close(self) -> None:
        """Ends the process and the thread. Blocks. Nobody may use the process any more."""
        with self._changed:
            self._closing.set()
            life, starting = self._life, self._starting
            self._changed.notify_all()
        if life is not None:
            life.close()
        elif starting is not None:
            starting.kill("it is not wanted any more")
        self._thread.join()

    def _keep(self) -> None:
        self._opening.log.follow(self._change_log)
        try:
            self._keep_alive()
        finally:
            self._opening.log.forget(self._change_log)
            spare = self._spare
            if spare is not None:
                spare.kill("it is not wanted any more")
                spare.wait()
                spare.free()

    def _change_log(self, settings: str) -> None:
        """Tells the process; a spare one hears of it when it is told to begin."""
        with self._changed:
            for life in (self._starting, self._life):
                if life is not None:
                    life.change_log(settings)

    def _keep_alive(self) -> None:
        while not self._closing.is_set():
            life = self._begin()
            lived_s = 0.0
            if life is not None:
                try:
                    self._live(life, self._opened(life))
                    lived_s = life.age_s
                finally:
                    life.free()
            if isinstance(self._first, ServingError):
                return
            self._rest(lived_s)

    def _begin(self) -> Life | None:
        """A process that opens the artefact: the spare one if there is one, else a new one."""
        life, self._spare = self._spare, None
        if life is not None and life.process.poll() is not None:
            life.free()
            life = None
        try:
            life = life or self._start_process()
        except (OSError, MemoryError) as error:
            self._failed(InvalidModel(f"a process for it cannot be started: {type(error).__name__}"))
            return None
        with self._changed:
            self._starting = life
            if self._closing.is_set():
                life.kill("it is not wanted any more")
            # Under the lock: a change of the log comes after it, or is in it.
            life.begin(tuple(self._forms), self._opening.log.text)
        return life

    def _start_process(self) -> Life:
        """A new process, which only prepares itself. Raises OSError if the system has no room for one."""
        opening = self._opening

        def settings(ends: Ends) -> ProcessSettings:
            return ProcessSettings(
                model=opening.model,
                loader=opening.loader,
                artefact=opening.artefact,
                options=opening.options,
                parent=os.getpid(),
                control_fd=ends.control_fd,
                lanes=ends.lanes,
                log=opening.log.text,
            )

        return Life(opening.options.instances, settings)

    def _opened(self, life: Life) -> OpenedModel | None:
        """What the process has loaded; None if it could not, which is noted."""
        try:
            message = life.receive(self._load_s)
            if isinstance(message, Loaded):
                self._load_s = self._load_s or max(_LOAD_TIMES * life.age_s, self._opening.load_s)
                return read_opened(message.text)
        except TimeoutError:
            message = None
            life.kill(f"loading the model took longer than {self._load_s:.0f} s")
        except BrokenLink:
            message = None
            life.kill("it said what no process of a model says")
        if isinstance(message, Failed):
            life.told = True
            self._failed(named(message))
        return None

    def _live(self, life: Life, opened: OpenedModel | None) -> None:
        """Offers the process, if it has loaded the model, until it has ended."""
        if opened is not None:
            with self._changed:
                again = self._first is not None
                self._first = self._first or opened
                closing = self._closing.is_set()
                self._starting = None
                if not closing:
                    self._life, self._away, self._soon = life, "", True
                self._changed.notify_all()
            if closing:
                life.close()
            else:
                if again:
                    _log.info("the process of model '%s' is back after %.1f s", self.model, life.age_s)
                    self._told()
                with contextlib.suppress(OSError, MemoryError):  # without one, the next start takes longer
                    self._spare = self._start_process()
        ending = life.wait()
        with self._changed:
            self._life = self._starting = None
            closing = self._closing.is_set()
        if opened is not None and not closing:
            self._leave(f"its process ended ({ending}) and is started again")
        life.bury()
        if opened is None and not closing and not life.told:
            self._forms.clear()  # zeros of such a form may be what ended it: the next one is not asked to run them
            self._failed(InvalidModel(f"its process ended while it was loaded ({ending})"))

    def _rest(self, lived_s: float) -> None:
        delay_s = self._delay.after(lived_s)
        with self._changed:
            self._soon = delay_s < _SOON_S
            self._changed.notify_all()
        self._closing.wait(delay_s)

    def _failed(self, error: ServingError) -> None:
        """It could not be loaded: whoever waits for the first time hears of it, others that it is still away."""
        with self._changed:
            if self._first is None:
                self._first = error
                self._changed.notify_all()
                return
        self._leave(f"its process cannot be started again: {error}")

    def _leave(self, why: str) -> None:
        if self._away != why:
            _log.error("model '%s' is UNAVAILABLE: %s", self.model, why)
        self._away = why
        self._told()

    def _told(self) -> None:
        if self._tell is not None:
            self._tell()


def named(failed: Failed) -> ServingError:
    """The serving error that a process has reported."""
    kind = getattr(errors, failed.error, None)
    if isinstance(kind, type) and issubclass(kind, ServingError):
        return kind(failed.message)
    return BackendFailure(failed.message)
