"""The back as a front sees it: asks it about models, sends it images, hears what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from math import prod

from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import QueueFull, ServerStopping, Unsupported
from pasarela_server.frontends.arena import Arena, ArenaFull
from pasarela_server.frontends.asked import Asked
from pasarela_server.frontends.attempt import Attempt, Outdated
from pasarela_server.frontends.facts import Facts
from pasarela_server.frontends.failures import name_of, named_error
from pasarela_server.frontends.link import Answer, Failure, Known, Lookup, Message, Noted, Refused
from pasarela_server.processes.memory import SharedMemory
from pasarela_server.rpc.version import parse_version

_ENDED = "the server has ended; try another one, or again later"
_MOST_SEQUENCES = 2**32


class Back:
    """One end of the link. Used from the event loop, but for what any thread may call: `register`, `free_soon`."""

    def __init__(self, post: Callable[[Message], None], memory: SharedMemory) -> None:
        """Builds the end.

        Args:
            post: Sends the back a message, from any thread.
            memory: Shared with it.
        """
        self.post = post
        self.memory = memory
        self._loop = asyncio.get_running_loop()
        self._arena = Arena(memory.size)
        self._sequences = itertools.count()
        self._asked: dict[int, asyncio.Future[Facts | None]] = {}
        """Lookups and refusals without an answer yet."""
        self._submitted: dict[int, Attempt] = {}
        """Images without an answer yet."""
        self._output_bytes: dict[str, int] = {}
        """The largest output that found no room, by model."""
        self._gone = False

    async def look_up(self, asked: Asked) -> Facts:
        """What there is to know of the model that a request names.

        Raises:
            ServingError: As `Models.acquire`, or it detects nothing; the request has been counted, if it was to be.
        """
        parse_version(asked.model, asked.version)
        sequence, told = self._ask()
        self.post(Lookup(sequence, asked.received_ns, asked.model, asked.version, asked.id, asked.caller))
        try:
            facts = await told
        except asyncio.CancelledError as cancelled:
            await self.refuse(asked, cancelled, at_the_door=True)
            raise
        assert facts is not None
        return facts

    async def refuse(self, asked: Asked, error: BaseException, *, at_the_door: bool) -> None:
        """Has the back count a request that failed here.

        Args:
            asked: The request.
            error: Why it failed.
            at_the_door: Whether that came before the raw model was looked at.

        Raises:
            ServingError: The back has a reason that comes before this one.
        """
        sequence, told = self._ask()
        door = int(at_the_door)
        named = asked.model, asked.version, asked.id, asked.caller
        self.post(Refused(sequence, asked.received_ns, door, *named, name_of(error)))
        if isinstance(error, Exception):
            await told
        else:  # the client has gone, and waits for no reason
            told.cancel()

    async def begin(self, asked: Asked, facts: Facts) -> Attempt:
        """Room for an image and for the answer to it; waits for it, if there is none.

        Raises:
            QueueFull: As many wait as may.
            Unsupported: The image is larger than all the room.
        """
        size = max(_input_bytes(facts.detector), self._output_bytes.get(facts.model, 0))
        if size > self._arena.size:
            raise Unsupported(
                f"model {asked.model!r}: an image takes {size} bytes, more than the {self._arena.size} a front has; "
                "start the server with --frontends 0"
            )
        most = facts.limits.max_waiting
        try:
            offset = await self._arena.reserve(size, most)
        except ArenaFull as full:
            raise QueueFull(
                f"model {asked.model!r}: {most} images wait already, which is its limit; send fewer at a time"
            ) from full
        return Attempt(self, asked, facts, offset, size)

    def register(self, attempt: Attempt) -> int:
        """The number under which an image is sent, which is to be done at once.

        Raises:
            ServerStopping: The back has gone.
        """
        if self._gone:
            raise ServerStopping(_ENDED)
        sequence = next(self._sequences) % _MOST_SEQUENCES
        self._submitted[sequence] = attempt
        return sequence

    def free(self, offset: int) -> None:
        """Gives back the room of an image that neither side uses any more."""
        self._arena.free(offset)

    def free_soon(self, offset: int) -> None:
        """The same, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits for room any more
            self._loop.call_soon_threadsafe(self.free, offset)

    def received(self, message: Message) -> bool:
        """Takes what the back says; False if it is not about images."""
        match message:
            case Answer():
                attempt = self._submitted.pop(message.sequence)
                if message.output:
                    model = attempt.facts.model
                    self._output_bytes[model] = max(len(message.output), self._output_bytes.get(model, 0))
                attempt.answered(message)
            case Failure():
                self._resolve(message.sequence, named_error(message.error, message.message))
            case Known():
                facts = Facts.from_text(message.text)
                outdated = message.sequence in self._submitted
                self._resolve(message.sequence, Outdated(facts) if outdated else facts)
            case Noted():
                self._resolve(message.sequence, None)
            case _:
                return False
        return True

    def lost(self) -> None:
        """Fails everything that waits: the back has gone."""
        self._gone = True
        for sequence in (*self._submitted, *self._asked):
            self._resolve(sequence, ServerStopping(_ENDED))

    def _ask(self) -> tuple[int, asyncio.Future[Facts | None]]:
        if self._gone:
            raise ServerStopping(_ENDED)
        sequence = next(self._sequences) % _MOST_SEQUENCES
        told: asyncio.Future[Facts | None] = asyncio.get_running_loop().create_future()
        self._asked[sequence] = told
        return sequence, told

    def _resolve(self, sequence: int, told: Facts | Exception | None) -> None:
        attempt = self._submitted.pop(sequence, None)
        if attempt is not None:
            assert isinstance(told, Exception)
            attempt.failed(told)
            return
        waiting = self._asked.pop(sequence)
        if waiting.done():
            return
        if isinstance(told, Exception):
            waiting.set_exception(told)
        else:
            waiting.set_result(told)


def _input_bytes(detector: YoloDetector) -> int:
    """Of the array that preprocessing makes of an image."""
    return prod(detector.input_shape) * detector.input_dtype.itemsize
