"""A front's life: it listens beside its siblings, serves, finishes what it has, and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import grpc

import pasarela_server.detection.pillow  # noqa: F401 - now, not when the first PNG comes
from pasarela_proto import detection_pb2_grpc
from pasarela_server.frontends.back import Back
from pasarela_server.frontends.channel import Channel
from pasarela_server.frontends.images import FrontImageService
from pasarela_server.frontends.link import CannotListen, Idle, LogChanged, Message, Quit, Ready, Stop, Streams
from pasarela_server.frontends.passthrough import PassThrough
from pasarela_server.frontends.settings import FrontSettings
from pasarela_server.observability.logging import LogSettings, apply_log_settings
from pasarela_server.processes import event_loop
from pasarela_server.processes.memory import SharedMemory
from pasarela_server.rpc.address import PortUnavailable
from pasarela_server.rpc.callers import read_caller, untraced
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.handlers import GuardedHandlers
from pasarela_server.rpc.protection import Protection
from pasarela_server.rpc.server import listen, server_options
from pasarela_server.rpc.status import FailureTable, status_codes
from pasarela_server.security.files import UnusableFile

_log = logging.getLogger("pasarela_server.frontends")

_LAST_REPLIES_S = 0.5
"""How long refusals may take to leave when the back has gone."""

_TO_THE_BACK = (
    ("grpc.max_receive_message_length", -1),  # the sizes are checked where clients are
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


def run(settings: FrontSettings) -> int:
    """Serves until the back ends it.

    Returns:
        0 after an orderly end, 1 if the port could not be had or the back has gone.
    """
    cv2.setNumThreads(1)  # images are spread over the pool's threads already
    return event_loop.run(_Front(settings).serve())


class _Front:
    """One front, on its event loop."""

    def __init__(self, settings: FrontSettings) -> None:
        self._settings = settings
        self._idle: asyncio.Task[None] | None = None
        self._leaving = False
        """Whether the front itself has ended its link."""

    async def serve(self) -> int:
        """Runs from the first message to the last."""
        settings = self._settings
        self._ended: asyncio.Future[Quit | None] = asyncio.get_running_loop().create_future()
        self._link = Channel(self._received, self._lost)
        self._calls = OpenCalls(lambda method, difference: self._link.post(Streams(difference, method)))
        failures = FailureTable(status_codes(queue_full=grpc.StatusCode[settings.queue_full_status.upper()]))
        memory = SharedMemory(settings.arena_fd, os.fstat(settings.arena_fd).st_size)
        pool = ThreadPoolExecutor(settings.image_threads, thread_name_prefix="images")
        self._back = Back(self._link.post, memory)
        callers = read_caller if settings.traced else untraced
        images = FrontImageService(self._back, pool, self._calls, failures, callers)
        await self._link.connect(socket.socket(fileno=settings.link_fd))
        async with grpc.aio.insecure_channel(settings.back, options=_TO_THE_BACK) as back:
            try:
                protection = Protection(settings.security, quiet=True)
            except UnusableFile as error:
                return await self._cannot_listen(str(error))
            server = grpc.aio.server(options=server_options(settings.max_message_bytes, shares_port=True))
            own: Any = GuardedHandlers(failures)
            detection_pb2_grpc.add_DetectionServiceServicer_to_server(images, own)
            server.add_generic_rpc_handlers(
                protection.before((own, PassThrough(back, settings.back, self._ended.done)))
            )
            try:
                port = listen(server, settings.address, settings.port, protection.credentials(), shares_port=True)
            except PortUnavailable as error:
                return await self._cannot_listen(str(error))
            await server.start()
            protection.follow()
            gc.collect()
            gc.freeze()  # what is there now stays to the end
            signal.setitimer(signal.ITIMER_REAL, 0)  # its process has begun with a limit
            self._link.post(Ready(port))
            ending = await self._ended
            if self._idle is not None:
                self._idle.cancel()
            if ending is None:
                self._back.lost()
            protection.close()
            await server.stop(_LAST_REPLIES_S if ending is None else ending.grace_s or None)
        pool.shutdown(wait=False, cancel_futures=True)
        if ending is None:
            _clear_away(Path(settings.back.removeprefix("unix:")))
            return 1
        self._link.close()
        return 0

    async def _cannot_listen(self, reason: str) -> int:
        self._link.post(CannotListen(reason))
        self._leaving = True
        self._link.close()
        await self._ended
        return 1

    def _received(self, message: Message) -> None:
        match message:
            case Stop():
                self._calls.stop()
                self._idle = asyncio.create_task(self._tell_when_idle())
            case Quit():
                self._end(message)
            case LogChanged():
                apply_log_settings(LogSettings.from_text(message.text))
            case _ if not self._back.received(message):
                _log.error("the back sent what a front does not take: %s", type(message).__name__)

    def _lost(self) -> None:
        if not (self._ended.done() or self._leaving):
            _log.error("the server's main process has gone: front %d ends", self._settings.index)
        self._end(None)

    def _end(self, ending: Quit | None) -> None:
        if not self._ended.done():
            self._ended.set_result(ending)

    async def _tell_when_idle(self) -> None:
        await self._calls.wait_idle()
        self._link.post(Idle())


def _clear_away(back: Path) -> None:
    """Removes the folder of the back's socket if nobody listens there: a back that was killed could not.

    A link may also break while the back lives; then all other fronts need the socket.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(back))
        except OSError:
            shutil.rmtree(back.parent, ignore_errors=True)
