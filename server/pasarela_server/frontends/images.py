"""A front's detection: images are decoded and prepared here, the network runs in the back, boxes are read here."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Never

from typing_extensions import override

from pasarela_proto import detection_pb2 as pb
from pasarela_server.errors import InvalidRequest, ModelNotFound, ModelUnavailable
from pasarela_server.frontends.asked import Asked
from pasarela_server.frontends.attempt import Attempt, Outdated
from pasarela_server.frontends.back import Back
from pasarela_server.frontends.facts import Facts
from pasarela_server.observability.record import NOBODY, Caller
from pasarela_server.repository.pipeline import DetectionPipeline
from pasarela_server.repository.result import DetectOverrides, ImageSource
from pasarela_server.rpc.callers import Callers, untraced
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection import FRAMES_IN_FLIGHT, ImageService, encode_reply
from pasarela_server.rpc.detection_codec import decode_deadline_s, decode_image_source, decode_overrides
from pasarela_server.rpc.status import FailureTable


@dataclass(frozen=True, slots=True)
class _Known:
    """A model, as far as a front knows it, and what detects with it."""

    facts: Facts
    pipeline: DetectionPipeline


def _no_raw_model() -> Never:
    raise AssertionError("a front has no raw models: each image brings its own")


class FrontImageService(ImageService):
    """Answers images by the models of the back. Used from the event loop only."""

    def __init__(
        self, back: Back, pool: Executor, calls: OpenCalls, failures: FailureTable, callers: Callers = untraced
    ) -> None:
        """Builds the service.

        Args:
            back: Runs the networks.
            pool: Runs the work on pixels. Its owner shuts it down.
            calls: The door.
            failures: What clients are told of errors.
            callers: Who calls.
        """
        super().__init__(calls, failures, FRAMES_IN_FLIGHT, callers)
        self._back = back
        self._pool = pool
        self._known: dict[tuple[str, str], _Known] = {}
        """By model and version as requests name them."""

    @override
    async def answer(
        self, request: pb.DetectRequest, remaining_s: float | None, caller: Caller = NOBODY
    ) -> pb.DetectResponse:
        received_ns = time.monotonic_ns()
        asked = Asked(request.model_name, request.model_version, request.id, received_ns, caller.to_text())
        try:
            source = decode_image_source(f"model '{asked.model}'", request.image)
            overrides = decode_overrides(request)
        except InvalidRequest as error:
            await self._back.refuse(asked, error, at_the_door=True)
            raise
        known = self._known.get((asked.model, asked.version))
        if known is None:
            known = self._remember(asked, await self._back.look_up(asked))
        deadline_s = decode_deadline_s(request, received_ns, remaining_s)
        while True:
            try:
                return await self._detect(asked, known, source, overrides, deadline_s)
            except Outdated as outdated:
                known = self._remember(asked, outdated.facts)

    def _remember(self, asked: Asked, facts: Facts) -> _Known:
        """Keeps what is known of a model; all that wait for it share one pipeline."""
        key = asked.model, asked.version
        known = self._known.get(key)
        if known is None or known.facts.number != facts.number:
            pipeline = DetectionPipeline(
                facts.model, facts.version, _no_raw_model, self._pool, facts.defaults, facts.limits
            )
            known = self._known[key] = _Known(facts, pipeline)
        return known

    async def _detect(
        self, asked: Asked, known: _Known, source: ImageSource, overrides: DetectOverrides, deadline_s: float | None
    ) -> pb.DetectResponse:
        """One attempt.

        Raises:
            Outdated: Another is to be made, by other facts.
        """
        attempt: Attempt | None = None
        try:
            attempt = await self._back.begin(asked, known.facts)
            result = await known.pipeline.detect_with(attempt, source, overrides, deadline_s, attempt.room)
            reply, timings = encode_reply(result, asked.id, asked.received_ns)
            attempt.end(None, timings, result.found)
        except BaseException as error:
            counted = attempt is not None and attempt.end(error)
            if isinstance(error, ModelNotFound | ModelUnavailable | InvalidRequest):
                self._known.pop((asked.model, asked.version), None)
            if not counted:
                await self._back.refuse(asked, error, at_the_door=False)
            raise
        return reply
