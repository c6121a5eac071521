"""A session whose network runs in another process: to the scheduler it is one as any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pasarela_server.backends.isolation.keeper import ProcessKeeper, named
from pasarela_server.backends.isolation.lane import Lane, align
from pasarela_server.backends.isolation.life import Life
from pasarela_server.backends.isolation.messages import Answer, Failed, Infer, Message, Place, write_places
from pasarela_server.errors import BackendFailure, ModelSuspended
from pasarela_server.processes.framing import BrokenLink
from pasarela_server.processes.memory import describe
from pasarela_server.tensor import Array

_LIVES = 3
"""Processes that may have ended before they could be asked; one that was asked is asked only once."""
_OBITUARY_S = 2.0
"""How long it may take to hear how a process ended that has ended."""


class IsolatedSession:
    """One of the sessions of a model's process, and of those that come after it."""

    def __init__(self, keeper: ProcessKeeper, index: int, wide_threads: int, timeout_s: float | None) -> None:
        """Builds the session.

        Args:
            keeper: Keeps the process.
            index: Which of its sessions it is.
            wide_threads: See `WideSession.wide_threads`.
            timeout_s: How long an inference may take before the process is ended; None for ever.
        """
        self._keeper = keeper
        self._index = index
        self._wide_threads = wide_threads
        self._timeout_s = timeout_s

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`.

        Raises:
            BackendFailure: The framework raised, or the process ended, or was ended because it took too long.
            ModelSuspended: There is no process; nothing was computed.
        """
        return self._run([inputs], wide=False)

    def infer_parts(self, parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
        """See `PartsSession.infer_parts`; raises as `infer`."""
        return self._run(parts, wide=False)

    @property
    def wide_threads(self) -> int:
        """See `WideSession.wide_threads`."""
        return self._wide_threads

    def infer_wide(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `WideSession.infer_wide`; raises as `infer`."""
        return self._run([inputs], wide=True)

    def _run(self, parts: Sequence[Mapping[str, Array]], *, wide: bool) -> Mapping[str, Array]:
        for _ in range(_LIVES):
            life = self._keeper.life()
            lane = life.lanes[self._index]
            with lane.turn:
                outputs = None if lane.closed else self._run_on(life, lane, parts, wide=wide)
            if outputs is not None:
                return outputs
            life.ended.wait(_OBITUARY_S)
        raise ModelSuspended(f"model '{self._keeper.model}' is not ready: its process keeps ending")

    def _run_on(
        self, life: Life, lane: Lane, parts: Sequence[Mapping[str, Array]], *, wide: bool
    ) -> Mapping[str, Array] | None:
        """The outputs; None if the process had ended before it could be asked."""
        places, size = _write(lane, parts)
        written = write_places(places)
        try:
            lane.send(Infer(wide, size, written))
        except OSError:
            life.doomed = True
            return None
        answer = self._hear(life, lane)
        match answer:
            case Answer():
                try:
                    outputs = {name: array.copy() for name, array in lane.views(answer.outputs, answer.size).items()}
                except BrokenLink as error:
                    raise self._mad(life) from error
                self._keeper.worked(written)
                return outputs
            case Failed():
                raise named(answer)
            case _:
                raise self._mad(life)

    def _hear(self, life: Life, lane: Lane) -> Message:
        try:
            answer = lane.receive(self._timeout_s)
        except TimeoutError as error:
            verdict = f"an inference took longer than {self._timeout_s:g} s, its limit"
            life.kill(verdict)
            life.ended.wait(_OBITUARY_S)  # who hears of it finds the model away, or back
            raise BackendFailure(
                f"model '{self._keeper.model}': {verdict}; its process was ended and is started again"
            ) from error
        except BrokenLink as error:
            raise self._mad(life) from error
        if answer is None:
            if not life.ended.wait(_OBITUARY_S):
                life.kill("it broke off")  # a process without this session is of no use
            raise BackendFailure(
                f"the process of model '{self._keeper.model}' ended ({life.ending or 'nobody knows why'}) while it "
                "computed; it is started again"
            )
        return answer

    def _mad(self, life: Life) -> BackendFailure:
        life.kill("it answered what no process of a model answers")
        return BackendFailure(
            f"the process of model '{self._keeper.model}' answered what it must not; it was ended and is started again"
        )


def _write(lane: Lane, parts: Sequence[Mapping[str, Array]]) -> tuple[list[Place], int]:
    """Lays the rows of all parts one after the other where the process reads them; where they are, and their end."""
    if len(parts) == 1:
        return lane.write(parts[0].items(), 0)
    places: list[Place] = []
    shapes: dict[str, tuple[int, tuple[int, ...]]] = {}
    end = 0
    for name, first in parts[0].items():
        shape = (sum(len(part[name]) for part in parts), *first.shape[1:])
        shapes[name] = (align(end), shape)
        places.append((name, shapes[name][0], describe(np.broadcast_to(first[:1], shape))))
        end = shapes[name][0] + first.dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    memory = lane.memory(end)
    for name, (offset, shape) in shapes.items():
        together = memory.place(offset, parts[0][name].dtype, shape)
        np.concatenate([part[name] for part in parts], out=together)
    return places, end
