"""The life of a model's process: it opens the artefact, serves each session on a thread, and ends with the server."""

from __future__ import annotations

import ctypes
import importlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import NoReturn, cast

import numpy as np

from pasarela_server.backends.artefacts import lacks_memory
from pasarela_server.backends.base import BackendLoader, PreparedLoader, Session, WideSession
from pasarela_server.backends.isolation.lane import Lane, align
from pasarela_server.backends.isolation.messages import (
    Answer,
    Begin,
    Close,
    Failed,
    Infer,
    Loaded,
    LogChanged,
    Message,
    read_places,
    write_places,
)
from pasarela_server.backends.isolation.settings import ProcessSettings
from pasarela_server.backends.isolation.spec_text import OpenedModel, write_opened
from pasarela_server.backends.isolation.wire import receive, send
from pasarela_server.errors import BackendFailure, InvalidModel, OutOfMemory, ServingError
from pasarela_server.observability.logging import LogSettings, apply_log_settings
from pasarela_server.processes.framing import BrokenLink
from pasarela_server.processes.memory import parse_layout
from pasarela_server.tensor import Array

_log = logging.getLogger("pasarela_server.backends.isolation")

_SET_PARENT_DEATH_SIGNAL = 1
_SOONER_THAN_THE_SERVER = "500"
"""What Linux adds to a process's score when memory has run out and one has to go."""


def host(settings: ProcessSettings) -> NoReturn:
    """Runs the process. Its exit code is 0 after an orderly end, 1 if the model is not loaded or the server is gone."""
    _end_with(settings.parent)
    _go_first_for_memory()
    control = socket.socket(fileno=settings.control_fd)
    lanes = [Lane(socket.socket(fileno=fds.link), fds.memory) for fds in settings.lanes]
    try:
        loader = _loader(settings)
        if isinstance(loader, PreparedLoader):
            loader.prepare()
        begin = receive(control)
        if not isinstance(begin, Begin):
            _end(0 if isinstance(begin, Close) else 1)
        _log_as(begin.log)
        backend = loader.load(settings.artefact, settings.options)
        sessions = [backend.session() for _ in lanes]
        for session in sessions:
            for places in json.loads(begin.warm):
                _warm(session, places)
        opened = write_opened(OpenedModel(backend.spec, backend.description, _wide_threads(sessions)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the server must hear of it
        _tell(control, _failed(settings.model, error, while_loading=True))
        _end(1)
    for lane, session in zip(lanes, sessions, strict=True):
        threading.Thread(target=_serve, args=(settings.model, lane, session), name="session", daemon=True).start()
    _tell(control, Loaded(opened))
    orderly = _closes(control)
    if orderly:
        backend.close()
    _end(0 if orderly else 1)


def _closes(control: socket.socket) -> bool:
    """Does as the server says until it says that it is over; False if it has gone without a word."""
    while True:
        message = receive(control)
        if not isinstance(message, LogChanged):
            return isinstance(message, Close)
        _log_as(message.settings)


def _log_as(settings: str) -> None:
    if settings:
        apply_log_settings(LogSettings.from_text(settings))


def _end(code: int) -> NoReturn:
    """Ends the process now: neither a session that hangs nor what a framework does at the end keeps it."""
    logging.shutdown()
    os._exit(code)


def _loader(settings: ProcessSettings) -> BackendLoader:
    module, _, name = settings.loader.partition(":")
    return cast("BackendLoader", getattr(importlib.import_module(module), name)())


def _wide_threads(sessions: list[Session]) -> int:
    first = sessions[0] if sessions else None
    return first.wide_threads if isinstance(first, WideSession) else 0


def _serve(model: str, lane: Lane, session: Session) -> None:
    """Answers one request after the other until the server has gone."""
    while True:
        try:
            message = lane.receive()
        except BrokenLink:
            _log.exception("the server sent what no server sends")
            _end(1)
        if message is None:
            return
        if not isinstance(message, Infer):
            _log.error("the server sent what no session takes: %s", type(message).__name__)
            _end(1)
        try:
            answer: Message = _infer(lane, session, message)
        except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            answer = _failed(model, error)
        try:
            lane.send(answer)
        except OSError:
            return


def _infer(lane: Lane, session: Session, message: Infer) -> Answer:
    inputs = lane.views(message.inputs, message.size)
    for array in inputs.values():
        array.flags.writeable = False
    run = session.infer_wide if message.wide and isinstance(session, WideSession) else session.infer
    outputs = run(inputs)
    arrays = [(name, np.ascontiguousarray(array)) for name, array in outputs.items()]
    places, end = lane.write(arrays, align(message.size))
    return Answer(end, write_places(places))


def _failed(model: str, error: BaseException, *, while_loading: bool = False) -> Failed:
    """What the server is told; what nobody expected is logged here."""
    if isinstance(error, ServingError):
        return Failed(type(error).__name__, str(error))
    _log.error("the process of model '%s' failed", model, exc_info=error)
    if while_loading:
        return Failed(InvalidModel.__name__, "loading it failed unexpectedly; the server's log says how")
    if lacks_memory(error):
        return Failed(OutOfMemory.__name__, f"model '{model}': memory ran out while it computed")
    return Failed(BackendFailure.__name__, f"model '{model}' failed while it computed; the server's log says why")


def _warm(session: Session, places: str) -> None:
    """Runs a session once; a model that does not like zeros is as good as any other."""
    try:
        session.infer(_zeros(places))
    except Exception as error:  # noqa: BLE001 - clients hear of what their own inputs do
        _log.debug("a run on zeros failed: %s", error)


def _zeros(places: str) -> Mapping[str, Array]:
    layouts = [(name, *parse_layout(layout)) for name, _, layout in read_places(places)]
    return {name: np.zeros(shape, dtype) for name, dtype, shape, _ in layouts}


def _tell(control: socket.socket, message: Message) -> None:
    try:
        send(control, message)
    except OSError:
        _log.debug("the server has gone")


def _end_with(parent: int) -> None:
    """Ends this process when the server's ends, even while a framework holds the interpreter."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _go_first_for_memory() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write(_SOONER_THAN_THE_SERVER)
    except OSError:
        return  # not Linux, or not allowed: then whoever is largest goes
